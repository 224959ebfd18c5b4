"""Prints the tables of an HTML page as JSON: by heading of the second level, a list of tables of rows of texts; and every address that the page would load."""

import json
import sys
from html.parser import HTMLParser


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, list[list[list[str]]]] = {}
        self.loads: list[str] = []
        self.heading = ""
        self.text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value for name, value in attrs if name in ("src", "href", "data", "srcset") and value and not value.startswith("#")]
        if tag in ("script", "iframe", "object"):
            self.loads.append(tag)
        if tag in ("h2", "th", "td"):
            self.text = []
        if tag == "table":
            self.sections[self.heading].append([])
        if tag == "tr":
            self.sections[self.heading][-1].append([])

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("h2", "th", "td"):
            return
        text = " ".join("".join(self.text or []).split())
        self.text = None
        if tag == "h2":
            self.heading = text
            self.sections[text] = []
        else:
            self.sections[self.heading][-1][-1].append(text)

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text.append(data)


page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
json.dump({"sections": page.sections, "loads": page.loads}, sys.stdout)
