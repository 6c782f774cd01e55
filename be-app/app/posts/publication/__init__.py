"""Publication of posts: the plan, claims on addresses, the read model, and views by day."""
