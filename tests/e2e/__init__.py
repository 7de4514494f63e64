"""The whole app through its host, with real storage and the model simulator; nothing patched."""
