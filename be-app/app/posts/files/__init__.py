"""Files of posts: pictures in their texts, and what names which file."""
