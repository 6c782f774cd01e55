"""Folders of other generators, read without any store."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.content.schemas import FilePost
from familycorp_ops.content import html_report
from familycorp_ops.content.importing import Folder, Listener, Manner, Summary
from familycorp_ops.content.sites import dates, frontmatter, names, recognition
from familycorp_ops.content.sites.body import Body
from familycorp_ops.content.sites.mapping import Mapping
from familycorp_ops.content.yamltext import Unreadable

SEOUL = ZoneInfo("Asia/Seoul")


class Read:
    """What an import makes of a folder, before any store is asked."""

    def __init__(self, root: Path, files: dict[str, str | bytes], mapping: str = "") -> None:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.summary = Summary(dry_run=True)
        manner = Manner()
        if mapping:
            (root.parent / "map.toml").write_text(mapping, "utf-8")
            manner.mapping = Mapping.read(root.parent / "map.toml")
        self.folder = Folder(root, self.summary, Listener(), manner)
        self.job = self.folder.job
        self.root = root

    @property
    def posts(self) -> dict[str, FilePost]:
        return {named.file: named.post for named in self.job.posts}

    def post(self, name: str) -> FilePost:
        return self.posts[name]

    def left_out(self) -> set[tuple[str, int, str]]:
        return {
            (file, note.line, note.subject) for file, note in self.summary.notes if note.kind == "left_out"
        }

    def changed(self, subject: str) -> list[tuple[str, str]]:
        return [
            (n.before, n.after) for _, n in self.summary.notes if (n.kind, n.subject) == ("changed", subject)
        ]


HUGO: dict[str, str | bytes] = {
    "hugo.toml": """
baseURL = "https://example.com/blog/"
defaultContentLanguage = "ko"
[languages.ko]
[languages.en]
[languages.ja]
[permalinks]
news = "/:year/:month/:slug/"
""",
    "content/_index.md": "---\ntitle: 홈\n---\n",
    "content/news/_index.md": "---\ntitle: 소식\n---\n소식란의 소개.\n",
    "content/news/anniversary.ko.md": """+++
title = "창립 40주년"
date = 2019-05-03T10:00:00
slug = "forty"
tags = ["회사", "기념일"]
aliases = ["/old/forty.html"]
authors = ["홍길동"]
weight = 3
glow = "warm"
[params]
subtitle = "고맙습니다"
+++

안녕하세요.

{{< figure src="https://pictures.example.com/cake.png" alt="케이크" >}}
{{< youtube w7Ft2ymGmfc >}}

{{< highlight go >}}
fmt.Println("{{< x >}}")
{{< /highlight >}}

```md
{{</* youtube id */>}}
```

{{< gallery dir="2019" >}}
[지난 글]({{< relref "plans.md" >}}) [주소](/blog/company/plans/) ![그림](cake.png)
""",
    "content/news/anniversary.en.md": "---\ntitle: Forty years\ndate: 2019-05-03 10:00\nslug: forty\n---\nHello.\n",
    "content/news/anniversary.ja.md": "---\ntitle: 四十年\n---\nこんにちは。\n",
    "content/company/plans/index.md": '{"title": "계획", "date": "2030/01/02", "draft": false}\n\n본문\n',
    "content/company/plans/part.md": "부분",
    "content/company/expired.md": "---\ntitle: 옛글\ndate: 2001-02-03\nexpiryDate: 2002-01-01\n---\n본문\n",
}


def test_a_site_of_hugo_becomes_posts_and_the_report_says_what_did_not(tmp_path: Path) -> None:
    read = Read(tmp_path / "site", HUGO)
    assert (read.summary.kind, read.summary.recognised_by) == ("hugo", "hugo.toml")
    post = read.post("content/news/anniversary.ko.md")
    assert (post.title, post.slug, post.lang, post.category) == ("창립 40주년", "forty", "ko", "sosik")
    assert post.published_at == datetime(2019, 5, 3, 1, tzinfo=UTC)
    assert (post.tags, post.excerpt) == (["회사", "기념일"], "고맙습니다")
    assert post.aliases == ["/blog/2019/05/forty/", "/blog/old/forty.html"]
    assert "![케이크](https://pictures.example.com/cake.png)" in post.body
    assert "[YouTube](https://www.youtube.com/watch?v=w7Ft2ymGmfc)" in post.body
    assert '```go\nfmt.Println("{{< x >}}")\n```' in post.body
    assert "```md\n{{< youtube id >}}\n```" in post.body
    assert "gallery" not in post.body
    assert "[지난 글](/ko/posts/plans) [주소](/ko/posts/plans)" in post.body
    assert post.body.endswith("*글 홍길동*")
    other = read.post("content/news/anniversary.en.md")
    assert (other.slug, other.lang, other.aliases) == ("forty-en", "en", ["/blog/en/2019/05/forty/"])
    assert post.translation_key == other.translation_key == "news/anniversary"
    assert read.post("content/news/_index.md").aliases == ["/blog/news/"]
    plans = read.post("content/company/plans/index.md")
    assert (plans.state, plans.scheduled_at) == ("scheduled", datetime(2030, 1, 1, 15, tzinfo=UTC))
    assert plans.category == "company"
    assert read.post("content/company/expired.md").state == "archived"
    assert [(c.slug, c.name.ko) for c in read.job.categories] == [("company", "company"), ("sosik", "소식")]
    assert read.left_out() == {
        ("content/news/anniversary.ko.md", 9, "glow"),
        ("content/news/anniversary.ko.md", 27, "gallery"),
        ("content/news/anniversary.ko.md", 28, "picture"),
    }
    assert {omitted.file for omitted in read.summary.omitted if not omitted.settled} == {
        "content/news/anniversary.ja.md",
        "content/company/plans/part.md",
    }
    assert read.summary.left_out
    page = html_report.page(read.summary, read.root, None)
    for said in (
        "content/news/anniversary.ko.md:27",
        "{{&lt; gallery",
        "<ins>[YouTube]",
        "forty-en",
        "[shortcodes]",
    ):
        assert said in page
    assert "<script" not in page


def test_a_mapping_file_settles_what_was_left_out(tmp_path: Path) -> None:
    mapping = Read(tmp_path / "before/site", HUGO).summary.proposal.toml()
    assert '"gallery" = ""' in mapping
    assert '"glow" = ""' in mapping
    assert '"ja" = ""' in mapping
    mapping = mapping.replace('"gallery" = ""', '"gallery" = "[사진]({dir})"').replace("sosik", "news")
    read = Read(tmp_path / "after/site", HUGO, mapping + '\n[authors]\n"홍길동" = ""\n')
    post = read.post("content/news/anniversary.ko.md")
    assert "[사진](2019)" in post.body
    assert post.category == "news"
    assert "홍길동" not in post.body
    assert read.left_out() == {("content/news/anniversary.ko.md", 28, "picture")}
    assert all(omitted.settled for omitted in read.summary.omitted)


def test_a_site_of_jekyll_becomes_posts(tmp_path: Path) -> None:
    read = Read(
        tmp_path / "site",
        {
            "_config.yml": "baseurl: /docs\ndefaults:\n- scope: {path: ''}\n  values: {lang: en}\n",
            "_posts/2019-05-03-hello-world.md": """---
layout: post
title: Hello: world
categories: News Press
tags: [one]
redirect_from:
  - /first
---
{% highlight ruby %}
puts "{{ x }}"
{% endhighlight %}
[two]({{ site.baseurl }}{% post_url 2019-06-01-two %}) {{ page.title }} {{ "/a.html" | relative_url }}
{: .note}
{% include figure.html src="https://example.com/a.png" alt="A" %}
{% include map.html %}
{% if true %}kept{% endif %}
""",
            "_posts/2019-06-01-two.md": "---\npermalink: /two.html\npublished: false\n---\n# Two\n\ntext",
            "_drafts/later.md": "---\ntitle: Later\n---\ntext",
            "about.md": "---\ntitle: About\n---\ntext",
            "README.md": "# The repository",
        },
    )
    assert read.summary.kind == "jekyll"
    post = read.post("_posts/2019-05-03-hello-world.md")
    assert (post.title, post.category, post.tags, post.lang) == (
        "Hello: world",
        "news",
        ["one", "Press"],
        "en",
    )
    assert post.published_at == datetime(2019, 5, 2, 15, tzinfo=UTC)
    assert post.aliases == ["/docs/news/press/2019/05/03/hello-world.html", "/docs/first"]
    assert post.body == (
        '```ruby\nputs "{{ x }}"\n```\n\n[two](/en/posts/two) Hello: world /a.html\n\n'
        "![A](https://example.com/a.png)\n\nkept"
    )
    two = read.post("_posts/2019-06-01-two.md")
    assert (two.title, two.state, two.aliases) == ("Two", "draft", [])
    assert read.post("_drafts/later.md").state == "draft"
    assert read.post("about.md").aliases == ["/docs/about.html"]
    assert {subject for _, _, subject in read.left_out()} == {"include", "if"}
    assert [(o.file, o.settled) for o in read.summary.omitted] == [("README.md", True)]


def test_a_site_of_hexo_becomes_posts(tmp_path: Path) -> None:
    read = Read(
        tmp_path / "site",
        {
            "package.json": '{"dependencies": {"hexo": "^8.0.0"}}',
            "_config.yml": "language: ko\npermalink: :year/:month/:day/:title/\n",
            "source/_posts/hello-world.md": """title: 첫 글
date: 2019-05-03 09:30:00
categories:
- [소식, 보도]
- 안내
tags: 하나
---
처음.
<!-- more -->
{% codeblock lang:js %}
let a = `{{ b }}`;
{% endcodeblock %}
{% post_link second 둘째 %} {% img left /a.png 100 "제목" %}
{% note info %}**알림**{% endnote %}
<iframe src="//www.youtube.com/embed/abc_1"></iframe>
""",
            "source/_posts/second.md": "---\ntitle: 둘째\nabbrlink: 7\nupdated: 2020-01-01\npassword: x\n---\n본문",
            "source/_drafts/d.md": "---\ntitle: 초안\n---\n본문",
            "source/tags/index.md": "---\ntype: tags\n---\n",
            "source/about/index.md": "---\ntitle: 소개\n---\n본문",
        },
    )
    assert read.summary.kind == "hexo"
    post = read.post("source/_posts/hello-world.md")
    assert (post.title, post.category, post.tags) == ("첫 글", "sosik", ["하나", "보도", "안내"])
    assert post.published_at == datetime(2019, 5, 3, 0, 30, tzinfo=UTC)
    assert post.aliases == ["/2019/05/03/hello-world/"]
    assert "```js\nlet a = `{{ b }}`;\n```" in post.body
    assert "[둘째](/ko/posts/second)" in post.body
    assert "**알림**" in post.body
    assert "[YouTube](https://www.youtube.com/watch?v=abc_1)" in post.body
    assert "more" not in post.body
    second = read.post("source/_posts/second.md")
    assert (second.state, second.published_at) == ("draft", datetime(2019, 12, 31, 15, tzinfo=UTC))
    assert next(note.before for _, note in read.summary.notes if note.subject == "password") == "…"
    assert read.post("source/about/index.md").aliases == ["/about/"]
    assert {(line, subject) for _, line, subject in read.left_out()} == {(13, "picture"), (14, "note")}
    assert [o.file for o in read.summary.omitted] == ["source/tags/index.md"]


def test_a_site_of_eleventy_becomes_posts(tmp_path: Path) -> None:
    read = Read(
        tmp_path / "site",
        {
            "eleventy.config.js": 'export default () => ({dir: {input: "src"}, pathPrefix: "/x/"});',
            "src/blog/blog.json": '{"tags": ["posts", "회사"], "layout": "post"}',
            "src/blog/2020-01-02-one.md": "---\ntitle: 하나\n---\n"
            '[둘](./two.md#끝) {% image "https://e.kr/a.png", "가" %}',
            "src/blog/two.md": '---json\n{"title": "둘", "permalink": "/b/{{ page.fileSlug }}/"}\n---\n'
            '{{ "/f" | url }} [하나]({{ "/blog/one/" | url }}) [밖]({{ "/c/" | url }}) '
            "<a href=\"{{ '/d/' | url }}\">d</a>",
            "src/index.njk": "---\n---\n",
        },
    )
    assert read.summary.kind == "eleventy"
    one, two = read.post("src/blog/2020-01-02-one.md"), read.post("src/blog/two.md")
    assert (one.slug, one.tags, one.category) == ("one", ["회사"], "blog")
    assert one.aliases == ["/x/blog/one/"]
    assert one.body == "[둘](/ko/posts/two#끝) ![가](https://e.kr/a.png)"
    assert (two.aliases, two.body) == (
        ["/x/b/two/"],
        '/f [하나](/ko/posts/one) [밖](/c/) <a href="/d/">d</a>',
    )
    assert [o.file for o in read.summary.omitted if not o.settled] == ["src/index.njk"]


WXR = """<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="http://wordpress.org/export/1.2/">
<channel>
<title>우리 회사</title><link>https://example.com</link><language>en-US</language>
<wp:base_blog_url>http://example.com</wp:base_blog_url>
<wp:author><wp:author_login>gil</wp:author_login><wp:author_display_name>홍길동</wp:author_display_name></wp:author>
<item>
<title>창립 40주년</title><link>https://example.com/2019/05/%ec%b0%bd%eb%a6%bd/</link><dc:creator>gil</dc:creator>
<guid>https://example.com/?p=7</guid>
<content:encoded><![CDATA[<!-- wp:heading --><h2>요약</h2><!-- /wp:heading -->
<!-- wp:paragraph --><p>매출이 <strong>늘었습니다</strong>.</p><!-- /wp:paragraph -->
<!-- wp:code --><pre class="wp-block-code"><code lang="php">a &lt; b

c</code></pre><!-- /wp:code -->
<!-- wp:embed --><figure class="wp-block-embed"><div class="wp-block-embed__wrapper">
https://youtu.be/abc
</div></figure><!-- /wp:embed -->
<!-- wp:table --><table><tr><td colspan="2" onclick="x()">합친 칸</td></tr></table><!-- /wp:table -->
<!-- wp:file --><div class="wp-block-file"><a href="/about/">보고서</a><a href="/about/" class="wp-block-file__button
 wp-element-button" download>다운로드</a></div><!-- /wp:file -->
<p><a href="http://example.com/?p=12">옛</a> <a href="https://example.com/2019/05/둘/#a">새</a></p>
[contact-form-7 id="5"]
<img src="https://pictures.example.com/a.png" alt="그림">]]></content:encoded>
<excerpt:encoded><![CDATA[짧은 소개]]></excerpt:encoded>
<wp:post_id>7</wp:post_id><wp:post_date>2019-05-03 09:00:00</wp:post_date>
<wp:post_date_gmt>2019-05-03 00:00:00</wp:post_date_gmt>
<wp:post_name>%ec%b0%bd%eb%a6%bd</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
<category domain="category" nicename="notice"><![CDATA[공지]]></category>
<category domain="post_tag" nicename="a"><![CDATA[회사]]></category>
<wp:comment><wp:comment_id>1</wp:comment_id></wp:comment>
</item>
<item>
<title>옛 글</title><link>https://example.com/?page_id=9</link>
<content:encoded><![CDATA[첫 줄
둘째 줄

[공지] 다음 문단]]></content:encoded>
<wp:post_id>9</wp:post_id><wp:post_date>2019-05-04 09:00:00</wp:post_date>
<wp:post_date_gmt>0000-00-00 00:00:00</wp:post_date_gmt>
<wp:post_name></wp:post_name><wp:status>draft</wp:status><wp:post_type>page</wp:post_type>
</item>
<item>
<title>둘째</title><link>http://example.com/2019/05/%eb%91%98/</link><guid>http://example.com/2019/05/%eb%91%98/</guid>
<content:encoded>x</content:encoded><wp:post_id>12</wp:post_id><wp:post_date>2019-05-04 09:00:00</wp:post_date>
<wp:post_name>%eb%91%98</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
</item>
<item><wp:post_id>10</wp:post_id><wp:status>trash</wp:status><wp:post_type>post</wp:post_type></item>
<item><wp:post_id>11</wp:post_id><wp:status>publish</wp:status><wp:post_type>product</wp:post_type></item>
</channel>
</rss>
"""


def test_an_export_of_wordpress_becomes_posts(tmp_path: Path) -> None:
    read = Read(tmp_path / "site", {"export.xml": WXR})
    assert (read.summary.kind, read.summary.faults) == ("wordpress", [])
    post = read.post("export.xml#7")
    assert (post.title, post.slug, post.lang, post.category) == ("창립 40주년", "창립", "ko", "notice")
    assert (post.tags, post.excerpt) == (["회사"], "짧은 소개")
    assert post.published_at == datetime(2019, 5, 3, tzinfo=UTC)
    assert post.aliases == ["/2019/05/창립/", "/?p=7"]
    assert post.body == (
        "## 요약\n\n매출이 **늘었습니다**.\n\n```\na < b\n\nc\n```\n\n<https://youtu.be/abc>\n\n"
        "<table><tbody><tr><td>합친 칸</td></tr></tbody></table>\n\n[보고서](/about/)\n\n"
        "[옛](/ko/posts/둘) [새](/ko/posts/둘#a)\n\n"
        "![그림](https://pictures.example.com/a.png)\n\n*글 홍길동*"
    )
    page = read.post("export.xml#9")
    assert (page.state, page.body) == ("draft", "첫 줄\\\n둘째 줄\n\n[공지] 다음 문단")
    assert read.left_out() == {("export.xml#7", 9, "contact-form-7"), ("export.xml#7", 9, "commentCount")}
    assert {(o.file, o.settled) for o in read.summary.omitted} == {
        ("export.xml#10", True),
        ("export.xml", False),
    }


def test_an_export_with_entities_is_refused(tmp_path: Path) -> None:
    bomb = WXR.replace("<rss", '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<rss', 1)
    read = Read(tmp_path / "site", {"export.xml": bomb.replace("옛 글", "&b;")})
    assert (read.posts, len(read.summary.faults)) == ({}, 1)


ITEM = {"type": "listitem", "children": [{"type": "text", "text": "항목"}]}
LEXICAL = {
    "root": {
        "children": [
            {
                "type": "extended-heading",
                "tag": "h2",
                "children": [{"type": "extended-text", "text": "요약"}],
            },
            {
                "type": "paragraph",
                "children": [
                    {"type": "extended-text", "text": "굵은", "format": 1},
                    {"type": "linebreak"},
                    {"type": "link", "url": "https://e.kr", "children": [{"type": "text", "text": "곳"}]},
                ],
            },
            {"type": "list", "listType": "bullet", "children": [ITEM]},
            {"type": "image", "src": "https://e.kr/a.png", "alt": "가", "caption": "설명"},
            {"type": "codeblock", "language": "go", "code": "a < b"},
            {"type": "product", "productTitle": "컵"},
        ]
    }
}
MOBILEDOC = {
    "markups": [["strong"]],
    "atoms": [["soft-return", "", {}]],
    "cards": [["image", {"src": "https://e.kr/b.png"}], ["hr", {}]],
    "sections": [
        [1, "p", [[0, [0], 1, "굵은"], [1, [], 0, 0], [0, [], 0, " 글"]]],
        [10, 0],
        [10, 1],
        [3, "ul", [[[0, [], 0, "하나"]]]],
    ],
}


def test_an_export_of_ghost_becomes_posts(tmp_path: Path) -> None:
    public = {
        "type": "post",
        "status": "published",
        "visibility": "public",
        "published_at": "2019-05-03T00:00:00.000Z",
    }
    data = {
        "posts": [
            {"id": "1", "title": "하나", "slug": "one", "lexical": json.dumps(LEXICAL), **public},
            {"id": "2", "title": "둘", "slug": "two", "mobiledoc": json.dumps(MOBILEDOC), **public},
            {
                "id": "3",
                "title": "셋",
                "slug": "three",
                "html": '<a href="__GHOST_URL__/one/">하나</a>',
                **public,
                "visibility": "paid",
            },
        ],
        "tags": [{"id": "t", "name": "소식"}, {"id": "u", "name": "#hidden"}],
        "posts_tags": [{"post_id": "1", "tag_id": "t"}, {"post_id": "1", "tag_id": "u"}],
        "users": [{"id": "a", "name": "홍길동"}],
        "posts_authors": [{"post_id": "1", "author_id": "a"}],
        "settings": [{"key": "locale", "value": "ko"}],
    }
    export = {"db": [{"meta": {"exported_on": 1, "version": "5.0.0"}, "data": data}]}
    read = Read(tmp_path / "site", {"ghost.json": json.dumps(export)})
    assert (read.summary.kind, read.summary.faults) == ("ghost", [])
    one, two = read.post("ghost.json#one"), read.post("ghost.json#two")
    assert (one.category, one.tags, one.aliases) == ("sosik", [], ["/one/"])
    assert one.body == (
        "## 요약\n\n**굵은**\\\n[곳](https://e.kr)\n\n- 항목\n\n![가](https://e.kr/a.png)\n\n*설명*\n\n"
        "```go\na < b\n```\n\n*글 홍길동*"
    )
    assert two.body == "**굵은**\\\n 글\n\n![](https://e.kr/b.png)\n\n---\n\n- 하나"
    three = read.post("ghost.json#three")
    assert (three.state, three.body) == ("draft", "[하나](/ko/posts/one)")
    assert read.left_out() == {("ghost.json#one", 1, "product")}


def test_text_of_any_system_is_what_it_was_meant_to_be(tmp_path: Path) -> None:
    korean = "---\ntitle: 한글 제목\ndate: 2019-05-03\n---\n본문은 한글입니다.\n"
    read = Read(
        tmp_path / "site",
        {
            "archetypes/default.md": "",
            "content/a.md": korean.encode("cp949"),
            "content/b.md": b"\xef\xbb\xbf" + korean.replace("\n", "\r\n").encode(),
            "content/c.md": korean.replace("한글 제목", "\u1112\u1161\u11ab\u1100\u1173\u11af 제목"),
            "content/d.md": korean.encode("utf-16"),
            "content/e.md": "---\ntitle: caf\xe9 tr\xe8s\n---\n".encode("latin-1"),
        },
    )
    found = {(p.title, p.body, p.published_at) for p in read.posts.values()}
    assert found == {("한글 제목", "본문은 한글입니다.", datetime(2019, 5, 2, 15, tzinfo=UTC))}
    assert len(read.posts) == 4
    assert sorted(read.changed("encoding")) == [("CP949", "UTF-8"), ("UTF-16", "UTF-8")]
    assert [(file, fault.line) for file, fault in read.summary.faults] == [("content/e.md", 2)]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2019-05-03", "2019-05-02T15:00:00+00:00"),
        ("2019-5-3 9:30", "2019-05-03T00:30:00+00:00"),
        ("2019/05/03 09:30:15", "2019-05-03T00:30:15+00:00"),
        ("2019-05-03T09:30:15.5Z", "2019-05-03T09:30:15.500000+00:00"),
        ("2019-05-03 09:30:15 +0200", "2019-05-03T07:30:15+00:00"),
        ("2019-05-03 09:30:15 +00:00", "2019-05-03T09:30:15+00:00"),
        ("2019년 5월 3일", "2019-05-02T15:00:00+00:00"),
        ("2019. 5. 3.", "2019-05-02T15:00:00+00:00"),
        ("Fri, 03 May 2019 09:30:00 +0900", "2019-05-03T00:30:00+00:00"),
        ("20190503", "2019-05-02T15:00:00+00:00"),
        ("0001-01-01T00:00:00Z", None),
        ("2019-13-03", None),
        ("git Last Modified", None),
        ("", None),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, at: str | None) -> None:
    found = dates.read(text, SEOUL)
    assert (found and found.isoformat()) == at


class Nowhere:
    """A page of a site without others."""

    def post_link(self, _name: str) -> str | None:
        return None

    def variable(self, _name: str) -> str | None:
        return None

    def address(self, target: str) -> str | None:
        return target

    def picture(self, target: str, _line: int) -> str:
        return target

    def attaches(self, _target: str, _line: int) -> bool:
        return False


@pytest.mark.parametrize(
    ("kind", "text", "markdown"),
    [
        ("hugo", '{{< figure src="a b.png" title="x]" >}}', "![x\\]](<a b.png>)"),
        ("hugo", '{{< figure src="a.png" link="/b" >}}', "[![](a.png)](/b)"),
        ("hugo", "{{< code-toggle file=hugo >}}\na = 1\n{{</ code-toggle >}}", "\n```\na = 1\n```\n"),
        ("hugo", '[a]({{< ref "#b" >}}) `{{</* ref "c" */>}}`', '[a](#b) `{{< ref "c" >}}`'),
        ("hugo", "{{% note %}}**a**{{% /note %}}", "**a**"),
        ("jekyll", "{% raw %}{{ a }}{% endraw %}{% comment %}b{% endcomment %}", "{{ a }}"),
        ("jekyll", "```\n{{ a }}\n```\n`{% b %}`", "```\n{{ a }}\n```\n`{% b %}`"),
        ("hexo", "{% blockquote 홍길동 https://e.kr %}\n말\n{% endblockquote %}", "\n> 말\n>\n> — [홍길동](https://e.kr)\n"),
        ("hexo", "{% gist a/b %} {% vimeo 1 %}", "[GitHub Gist](https://gist.github.com/a/b) [Vimeo](https://vimeo.com/1)"),
        ("plain", '<video><source src="/a/b.mp4"></video>', "[b.mp4](/a/b.mp4)"),
    ],
)  # fmt: skip
def test_tags_become_markdown(kind: str, text: str, markdown: str) -> None:
    assert Body(kind, Nowhere(), {}, [], lambda _name: None).translated(text, 1) == markdown


def test_categories_get_addresses_in_ascii() -> None:
    assert names.category_slug("공지사항") == "gongjisahang"
    assert names.category_slug("IR & Notices") == "ir-notices"
    assert names.category_slug("新聞").startswith("category-")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("---\ntitle: [a\n b\n---\n", 3),
        ("+++\na = 1\nb = \n+++\n", 3),
        ("---json\n{\n\"a\": }\n---\n", 3),
        ("---\ntitle: a\n", 1),
        ("---js\n{}\n---\n", 1),
    ],
)  # fmt: skip
def test_front_matter_that_cannot_be_read_is_an_error_at_its_line(text: str, line: int) -> None:
    with pytest.raises(Unreadable) as raised:
        frontmatter.split(text)
    assert raised.value.fault.line == line


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"config.toml": "", "content/a.md": "+++\n+++\n"}, "hugo"),
        ({"a/_index.md": "---\ntitle: x\n---\n"}, "hugo"),
        ({"_config.yml": "", "_posts/2019-01-01-a.md": "---\n---\n"}, "jekyll"),
        ({"_posts/2019-01-01-a.md": "---\ntitle: x\n---\n"}, "jekyll"),
        ({"_posts/a.md": "---\ntitle: x\n---\n"}, "hexo"),
        ({"_config.yml": "", "source/_posts/a.md": "---\n---\n"}, "hexo"),
        ({".eleventy.js": "", "a.md": "---\n---\n"}, "eleventy"),
        ({"categories.yaml": "", "a.md": "---\ntitle: x\n---\n"}, "familycorp"),
        ({"a.md": "---\nslug: x\nlang: ko\ncategory: y\n---\n"}, "familycorp"),
        ({"a.md": "no front matter"}, "familycorp"),
    ],
)
def test_a_folder_is_recognised(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert recognition.recognised(tmp_path).kind == kind


def test_a_cover_is_named_by_the_report(tmp_path: Path) -> None:
    page = "---\ntitle: 공지\ndate: 2020-01-01\ncover: a.jpg\n---\n본문\n"
    read = Read(tmp_path / "site", {"hugo.toml": "", "content/post/a.md": page})
    assert {(line, subject) for _, line, subject in read.left_out()} == {(4, "cover")}


PNG = b"\x89PNG\r\n\x1a\n"
WXR_WITH_PICTURES = """<rss xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="http://wordpress.org/export/1.2/">
<channel><item><wp:post_id>1</wp:post_id><wp:post_type>attachment</wp:post_type>
<wp:attachment_url>https://e.kr/wp-content/uploads/2019/05/cover.png</wp:attachment_url></item>
<item><title>가</title><wp:post_id>2</wp:post_id><wp:post_type>post</wp:post_type><wp:status>publish</wp:status>
<wp:post_name>a</wp:post_name><wp:post_date>2019-05-03 09:00:00</wp:post_date>
<wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>1</wp:meta_value></wp:postmeta>
<content:encoded><![CDATA[<p><a href="https://e.kr/wp-content/uploads/2019/05/a.png"><img
 src="https://e.kr/wp-content/uploads/2019/05/a-300x200.png" alt="가"></a></p>
<p><img src="https://e.kr/wp-content/uploads/2019/05/gone.png" alt="나"></p>]]></content:encoded></item>
</channel></rss>
"""
GHOST_WITH_PICTURES = json.dumps(
    {
        "db": [
            {
                "meta": {"exported_on": 1},
                "data": {
                    "posts": [
                        {
                            "id": "1",
                            "title": "가",
                            "slug": "a",
                            "type": "post",
                            "status": "published",
                            "feature_image": "__GHOST_URL__/content/images/2019/cover.png",
                            "html": '<img src="__GHOST_URL__/content/images/size/w600/2019/a.png" alt="가">'
                            '<img src="__GHOST_URL__/content/images/2019/gone.png" alt="나">',
                        }
                    ]
                },
            }
        ]
    }
)


@pytest.mark.parametrize(
    ("files", "gone"),
    [
        (
            {
                "e.xml": WXR_WITH_PICTURES,
                "wp-content/uploads/2019/05/a.png": PNG,
                "wp-content/uploads/2019/05/cover.png": PNG + b"c",
            },
            "https://e.kr/wp-content/uploads/2019/05/gone.png",
        ),
        (
            {
                "e.json": GHOST_WITH_PICTURES,
                "content/images/2019/a.png": PNG,
                "content/images/2019/cover.png": PNG + b"c",
            },
            "/content/images/2019/gone.png",
        ),
        (
            {
                "_config.yml": "baseurl: /b\nurl: https://e.kr\n",
                "_posts/2019-05-03-a.md": "---\ntitle: 가\nheader:\n  teaser: /assets/cover.png\n  show: true\n---\n"
                "![가]({{ site.baseurl }}/assets/a.png) ![나]({{ '/gone.png' | relative_url }})\n",
                "assets/a.png": PNG,
                "assets/cover.png": PNG + b"c",
            },
            "{{ '/gone.png' | relative_url }}",
        ),
        (
            {
                "package.json": '{"dependencies": {"hexo": "7"}}',
                "source/_posts/a.md": "---\ntitle: 가\ndate: 2019-05-03\ncover: /img/cover.png\n---\n"
                "{% asset_img a.png 가 %} ![나](gone.png)\n",
                "source/_posts/a/a.png": PNG,
                "source/img/cover.png": PNG + b"c",
            },
            "gone.png",
        ),
    ],
    ids=["wordpress", "ghost", "jekyll", "hexo"],
)
def test_pictures_of_every_system_become_uploads(
    tmp_path: Path, files: dict[str, str | bytes], gone: str
) -> None:
    read = Read(tmp_path / "site", files)
    (post,) = read.posts.values()
    found = {named.path.name: upload for upload, named in read.folder.uploads.files.items()}
    assert set(found) == {"a.png", "cover.png"}
    assert f"![가](upload:{found['a.png']})" in post.body
    assert post.thumbnail == found["cover.png"]
    assert [n.before for _, n in read.summary.notes if n.kind == "left_out"] == [gone]
