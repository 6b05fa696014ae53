"""The lab: learn heads from measured answers, and see honestly whether routing with them pays."""
