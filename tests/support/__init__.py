"""What several tests share: servers on loopback, made-up checkpoints and tables, clients."""
