"""How posts become public: their plan, claims on addresses, what visitors are served, and its views by day."""
