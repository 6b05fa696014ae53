"""The MCP server: four tools over `r2_router.R2Router`, so an agent can choose a model, or get the answer."""
