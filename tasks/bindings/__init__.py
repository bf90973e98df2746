"""账号绑定: binding official, channel and self-operated accounts to a shop."""
