"""The same application on AWS's own DynamoDB Local, where `DYNAMODB_LOCAL` names its directory."""

from pathlib import Path

from familycorp_ops.local.provision import provision
from familycorp_ops.servers.dynamodb_local import DynamoDBLocal
from familycorp_ops.servers.valkey import Valkey
from support.stack import EDITOR, Stack, act, draft, make_category, published


def test_posts_are_published_read_counted_and_withdrawn(
    dynamodb_local: DynamoDBLocal, valkey: Valkey, tmp_path: Path
) -> None:
    with Stack(tmp_path, dynamodb_local, valkey) as stack:
        provision(stack.settings, tables_only=True)
        stack.run("-m", "familycorp_ops", "db", "upgrade")
        stack.start()
        with stack.client() as client:
            make_category(client, "news")
            posts = [published(client) for _ in range(3)]
            first = client.get("/v1/posts", params={"category": "news", "limit": 2}).json()
            rest = client.get(
                "/v1/posts", params={"category": "news", "limit": 2, "cursor": first["nextCursor"]}
            ).json()
            listed = [card["id"] for card in (*first["items"], *rest["items"])]
            assert listed == [post["id"] for post in reversed(posts)]

            post = posts[0]
            assert client.post(f"/v1/posts/{post['id']}/views").status_code == 204
            assert client.get(f"/v1/posts/{post['slug']}").json()["viewCount"] == 1
            assert act(client, post, "unpublish").status_code == 200
            assert client.get(f"/v1/posts/{post['id']}").status_code == 404
            assert client.post(f"/v1/posts/{post['id']}/views").status_code == 404

            hidden = draft(client).json()
            assert client.get(f"/v1/posts/{hidden['slug']}").status_code == 404
            assert client.get("/v1/categories").json()["items"][0]["slug"] == "news"
            assert client.get(f"/v1/editor/posts/{hidden['id']}", headers=EDITOR).status_code == 200
