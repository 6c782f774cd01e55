"""Emphasis beside Korean particles: the amended rule of CommonMark's flanking."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.posts.text.markup import _markdown
from support.contract import ok
from support.stack import EDITOR, draft, published

# Markdown and its HTML. The first two are of this site's authors; the others are examples that the specification
# (https://github.com/tats-u/markdown-cjk-friendly) and its README publish.
EXAMPLES = {
    "**“최고”**라는 말": "<strong>“최고”</strong>라는 말",
    "**패밀리(Family)**를 찾다": "<strong>패밀리(Family)</strong>를 찾다",
    "이름은**“최고”**라는": "이름은<strong>“최고”</strong>라는",
    "그는 **'최고'**라고, *\"최고\"*라고": "그는 <strong>'최고'</strong>라고, <em>\"최고\"</em>라고",
    "~~“최고”~~라는": "<s>“최고”</s>라는",
    "***“최고”***라는": "<em><strong>“최고”</strong></em>라는",
    "**100%**의 **3.5%p**를": "<strong>100%</strong>의 <strong>3.5%p</strong>를",
    "**「최고」**란 **《책》**은": "<strong>「최고」</strong>란 <strong>《책》</strong>은",
    "이 별표는 **강조됩니다(이 괄호 때문에)**이 문장": "이 별표는 <strong>강조됩니다(이 괄호 때문에)</strong>이 문장",
    "**스크립트(script)**라고": "<strong>스크립트(script)</strong>라고",
    "실행하려면 **`npm publish`**를 쓰십시오.": "실행하려면 <strong><code>npm publish</code></strong>를 쓰십시오.",
    "**안녕(hello)**하세요.": "<strong>안녕(hello)</strong>하세요.",
    "ᅡ**(a)**": "ᅡ<strong>(a)</strong>",
    "**(k)**ᄏ": "<strong>(k)</strong>ᄏ",
    "これは**私のやりたかったこと。**だからするの。": "これは<strong>私のやりたかったこと。</strong>だからするの。",
    "カッコに注意**（太字にならない）**文": "カッコに注意<strong>（太字にならない）</strong>文",
    "太郎は**「Hello」**といった": "太郎は<strong>「Hello」</strong>といった",
    "**C#**や**F#**は**「.NET」**という": "<strong>C#</strong>や<strong>F#</strong>は<strong>「.NET」</strong>という",
    "**真“**她 **真…**她 真**【她**": "<strong>真“</strong>她 <strong>真…</strong>她 真<strong>【她</strong>",
    "葛\U000e0100**(こちらが正式表記)**城市": "葛\U000e0100<strong>(こちらが正式表記)</strong>城市",
    "大塚\ufe00**(U+585A U+FE00)** 大塚": "大塚\ufe00<strong>(U+585A U+FE00)</strong> 大塚",
    "a**〰**a a**🈂**a": "a<strong>〰</strong>a a<strong>🈂</strong>a",
    # As CommonMark has it.
    "a**a«**a": "a**a«**a",
    "a**∇a**a": "a**∇a**a",
    "a**(b)**c": "a**(b)**c",
    "😀a**(b)**😀c": "😀a**(b)**😀c",
    "__“최고”__라는": "__“최고”__라는",
    "한국어_(x)_는": "한국어_(x)_는",
    "** 최고**라는 **최고 **라는": "** 최고**라는 **최고 **라는",
    r"\**“최고”\**라는": "*<em>“최고”*</em>라는",
}


def test_korean_particles_after_a_mark_leave_emphasis_whole(client: httpx.Client) -> None:
    post = draft(client, body="\n\n".join(EXAMPLES)).json()
    html = ok(client.get(f"/v1/editor/posts/{post['id']}/preview", headers=EDITOR))["html"]
    told = html.replace("&gt;", ">").replace("&quot;", '"').removesuffix("\n").split("\n")
    assert dict(zip(EXAMPLES, told, strict=True)) == {
        body: f"<p>{expected}</p>" for body, expected in EXAMPLES.items()
    }


def test_the_public_and_search_read_it_so(client: httpx.Client) -> None:
    post = published(client, body="**“으뜸회사”**라는 **상호(Name)**를 쓴다.")
    page = ok(client.get(f"/v1/posts/{post['id']}"))
    assert page["html"] == "<p><strong>“으뜸회사”</strong>라는 <strong>상호(Name)</strong>를 쓴다.</p>\n"
    assert page["excerpt"] == "“으뜸회사”라는 상호(Name)를 쓴다."


@pytest.mark.parametrize(
    "alphabet", ["a B1.!?(){}[]<>*_~`\\\"'“”«»—…·é\u0301ßж \u00a0\n#-+|:&;€∇😀👍🏽\ufe0f"]
)
def test_text_without_cjk_renders_as_commonmark_has_it(alphabet: str) -> None:
    plain = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    amended = _markdown()

    @given(st.text(st.sampled_from(alphabet + "***"), max_size=60))
    def same(text: str) -> None:
        assert amended.render(text) == plain.render(text)

    same()
