"""The staff: who they are, what they may do."""
