"""The deployed app. Lower modules never import higher ones: see `.importlinter`."""
