"""The command `renkei`. Acts on a site only through `bus.operations` as `bus.node.open_operations` hands it out."""
