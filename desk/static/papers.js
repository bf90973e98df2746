// Papers beside the text: a click or v opens them in the left column. Without script the same link opens a page of its own.

const thumbs = [...document.querySelectorAll("a.thumb")];
const made = (tag, of, ...inside) => {
  const one = Object.assign(document.createElement(tag), of);
  one.append(...inside);
  return one;
};
let viewer, sheets, shown = -1, zoom = 1, turned = 0;

function lay() {
  for (const sheet of sheets.children) {
    const ratio = sheet.naturalWidth / sheet.naturalHeight || 0.7; // until it has come
    const across = turned % 2 ? zoom * ratio : zoom;
    const spare = turned % 2 ? (across - zoom) * 50 : 0; // a turned box keeps its place: the difference goes to its margins
    Object.assign(sheet.style, { width: `${across * 100}%`, rotate: `${turned * 90}deg`, margin: spare ? `${spare}% ${-spare}%` : "" });
  }
}
function scale(by) {
  zoom = by ? Math.min(Math.max(zoom * by, 0.5), 4) : 1;
  lay();
}
function turn() {
  turned = (turned + 1) % 4;
  lay();
}

// Seen is what the server has handed out to the last page; here it is only said.
function seen(thumb) {
  const mark = thumb.closest("li")?.querySelector(".unseen");
  if (mark) Object.assign(mark, { className: "seen", textContent: "✓ 已看" });
  const count = document.querySelector(".papers-seen");
  const left = document.querySelectorAll(".papers-of .unseen").length;
  const all = left + document.querySelectorAll(".papers-of .seen").length;
  if (count && all) count.textContent = `材料已看 ${all - left}/${all}`;
  const first = document.querySelector(".look-first");
  if (first && !left) first.hidden = true;
}

async function open(at) {
  const thumb = thumbs[at];
  if (!thumb) return;
  close(false);
  shown = at;
  zoom = 1;
  turned = 0;
  const name = thumb.querySelector("img").alt;
  sheets = made("div", { className: "sheets", tabIndex: 0, role: "group", ariaLabel: `${name} 各页` });
  const button = (text, label, act) => made("button", { type: "button", className: "quiet", textContent: text, title: label, ariaLabel: label, onclick: act });
  viewer = made("section", { className: "viewer", tabIndex: -1, ariaLabel: `材料 ${name}` },
    made("header", {},
      made("b", {}, made("bdi", { textContent: name })), made("span", { className: "dim", textContent: `${at + 1}/${thumbs.length}` }),
      button("‹", "上一份 [", () => open(shown - 1)), button("›", "下一份 ]", () => open(shown + 1)),
      button("－", "缩小 -", () => scale(0.8)), button("＋", "放大 +", () => scale(1.25)), button("⤢", "适合宽度 0", () => scale(0)),
      button("↻", "旋转 Shift+R", turn), made("a", { href: thumb.href, target: "_blank", rel: "noopener", textContent: "新窗口" }),
      button("关闭", "关闭 v", () => close(true))),
    sheets);
  thumb.closest("ul, section").after(viewer);
  viewer.focus({ preventScroll: true });
  viewer.scrollIntoView({ block: "start" });
  const response = await fetch(thumb.href, { headers: { accept: "application/json" } }).catch(() => null);
  const paper = response?.ok ? await response.json() : { pages: 0, shown: 0 };
  if (shown !== at) return;
  if (!paper.shown) sheets.textContent = response?.status === 401 ? "登录已过期，请重新登录后再看。" : "该文件无法显示为图片，请下载原件。";
  else if (paper.pages > paper.shown) viewer.append(made("p", { className: "note", textContent: `只显示前 ${paper.shown} 页，全部内容见原件。` }));
  let left = paper.pages;
  for (let page = 1; page <= paper.shown; page += 1) {
    const sheet = made("img", { loading: "lazy", alt: `${name} 第 ${page} 页`, src: `${thumb.href}/${page}.webp` });
    sheet.onload = () => {
      lay();
      left -= 1;
      if (!left) seen(thumb);
    };
    sheets.append(sheet);
  }
  lay();
}
function close(back) {
  viewer?.remove();
  viewer = undefined;
  if (back) thumbs[shown]?.focus();
  shown = -1;
}

for (const [at, thumb] of thumbs.entries()) {
  thumb.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(at);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.repeat || event.ctrlKey || event.altKey || event.metaKey || !thumbs.length) return;
  if (event.target.closest?.("textarea, select, dialog, input:not([type=radio]):not([type=checkbox])")) return;
  const keys = {
    KeyV: () => (viewer ? close(true) : open(Math.max(thumbs.findIndex((one) => one.closest("li")?.querySelector(".unseen")), 0))),
    ...(viewer && {
      BracketLeft: () => open(shown - 1), BracketRight: () => open(shown + 1), Equal: () => scale(1.25), NumpadAdd: () => scale(1.25),
      Minus: () => scale(0.8), NumpadSubtract: () => scale(0.8), Digit0: () => scale(0), Numpad0: () => scale(0),
      ...(event.shiftKey && { KeyR: turn }), Escape: () => close(true),
    }),
  };
  const act = event.code !== "Escape" && localStorage.getItem("keys") === "off" ? null : keys[event.code];
  if (!act) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  act();
}, true);
