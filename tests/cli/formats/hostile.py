"""Names that are markup, script, formulas, paths, terminal escapes, LaTeX and Markdown."""

HOSTILE = (
    '<script>fetch("{url}/script")</script>',
    '"><img src="{url}/img" onerror="fetch(\'{url}/onerror\')">',
    "</title></style></script><iframe src={url}/iframe></iframe>",
    "<svg/onload=fetch('{url}/svg')>",
    "' onmouseover='fetch(\"{url}/mouse\")",
    "javascript:fetch('{url}/link')",
    "</textarea><link rel=stylesheet href={url}/css>",
    "<meta http-equiv=refresh content=0;url={url}/refresh>",
    "{{{{ 7 * 7 }}}}{{% include '/etc/passwd' %}}",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "-->\u202egnp.exe\u202c<!--",
    '=HYPERLINK("{url}/formula")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1-1\t=2",
    "../../../etc/passwd",
    "\x1b]0;owned\x07\x1b[31mred",
    "\\input{{/etc/passwd}}\\write18{{id}}%$&#_^~",
    "| a | b |\n|---|---|\n[x]({url}/markdown) `code` **bold**",
    "[bold red]markup[/]",
    "\ud83d\ude00 \u4e2d\u6587 \u00e9\u00f1".encode("utf-16", "surrogatepass").decode("utf-16"),
    "]]><![CDATA[<a xmlns:a='x'>",
    "a" * 5_000,
)
"""Texts in which {url} is where a request would be noticed."""


def hostile(url: str = "http://127.0.0.1:9") -> list[str]:
    """The corpus, aimed at an address."""
    return [text.format(url=url) for text in HOSTILE]
