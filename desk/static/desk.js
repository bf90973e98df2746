// The desk's script: keys, drafts, the pulse, and a button that is pressed once. Every page works without it.

const page = document.body.dataset;
const answer = document.querySelector("form.answer");
const said = document.querySelector(".status");

function say(text) {
  said.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.textContent = ""; }, 4000);
}

// ── a refusal is read first ──
document.querySelector("#refused")?.focus();

// ── passkeys: the one thing that needs script ──
const able = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON) && !/^[0-9.]+$/.test(location.hostname);
const JSON_ONLY = { accept: "application/json" };

async function ask(address, form) {
  const response = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: JSON_ONLY });
  if (response.status === 401) throw new Error("登录已过期，请在新窗口登录后再试");
  const found = await response.json();
  if (!response.ok) throw new Error(found.sentence ?? "请求未被接受，请刷新页面");
  return found;
}
const signed = async (options) => JSON.stringify(await navigator.credentials.get({
  publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
}));
const told = (error) => (error.name === "NotAllowedError" ? "未完成签名：已取消或超时" : error.message);

// A form whose button asks for a key first, then goes its way.
function byKey(form, wanted, make, tell) {
  form?.addEventListener("submit", async (event) => {
    if (event.submitter?.formAction && !event.submitter.classList.contains("primary") && form === answer) return;
    if (form.dataset.proved || !wanted(event.submitter)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    try {
      await make();
      form.dataset.proved = "yes";
      form.requestSubmit(event.submitter);
    } catch (error) {
      tell(told(error));
    }
  });
}
const doorByKey = document.querySelector("form.by-key");
const enrol = document.querySelector("form.enrol");
if (able) {
  for (const one of [doorByKey, enrol]) if (one) one.hidden = false;
  const none = document.querySelector(".no-keys");
  if (none) none.hidden = true;
}
byKey(doorByKey, () => true, async () => {
  doorByKey.elements.credential.value = await signed(await ask("/login/passkey/options", doorByKey));
}, say);
byKey(enrol, () => true, async () => {
  const options = await ask("/me/passkeys/options", enrol);
  const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  enrol.elements.credential.value = JSON.stringify(made);
}, (text) => { enrol.querySelector(".said").textContent = text; });
byKey(answer, () => able && answer.dataset.signs && !answer.elements.code?.value, async () => {
  answer.elements.signature.value = await signed(await ask(`/r/${page.review}/sign`, answer));
}, say);
const confirming = document.querySelector("form.confirm");
byKey(confirming, () => able && confirming.dataset.signs && !confirming.elements.code.value, async () => {
  confirming.elements.signature.value = await signed(await ask(`/r/${page.review}/sign-confirmation`, confirming));
}, say);
const batch = document.querySelector("form.batch");
for (const one of able ? document.querySelectorAll(".by-signature") : []) one.hidden = false;
byKey(batch, (pressed) => able && (pressed?.name === "sign" || (batch.dataset.signs === "first" && !batch.elements.code.value)), async () => {
  batch.elements.signature.value = await signed(await ask("/b/sign", batch));
}, say);

// ── one press, one decision: the server answers a second one with the first one's result ──
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    const button = event.submitter;
    if (button?.classList.contains("primary")) button.textContent = "提交中…";
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// ── the reason is required with the verdict that asks for one ──
function requireReason() {
  const chosen = answer?.querySelector("input[name=verdict]:checked");
  const reason = answer?.querySelector("#reason");
  if (reason) reason.required = chosen?.dataset.reason === "yes";
  const verb = answer?.querySelector(".primary .verb");
  if (verb && chosen) verb.textContent = chosen.dataset.label;
}
answer?.addEventListener("change", requireReason);
const snippets = answer?.querySelector(".snippets");
if (snippets) snippets.hidden = false;
snippets?.addEventListener("change", (event) => {
  const reason = answer.elements.reason;
  reason.setRangeText(event.target.value, reason.selectionStart, reason.selectionEnd, "end");
  event.target.value = "";
  reason.focus();
  reason.dispatchEvent(new Event("input", { bubbles: true }));
});
requireReason();

// ── drafts: saved a second after typing stops; restoring saves nothing, for only typing does ──
let draftTimer;
answer?.addEventListener("input", (event) => {
  if (event.target.name === "code") return;
  clearTimeout(draftTimer);
  draftTimer = setTimeout(saveDraft, 1000);
});
window.addEventListener("pagehide", () => draftTimer && saveDraft());
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]:not([target])");
  if (!link || !draftTimer || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault(); // what was typed a moment ago is kept before the page is left
  saveDraft().then(() => location.assign(link.href));
});

async function saveDraft() {
  clearTimeout(draftTimer);
  draftTimer = 0;
  if (answer.dataset.sent) return;
  const fields = new URLSearchParams(new FormData(answer));
  for (const name of ["code", "token", "shown", "signature"]) fields.delete(name);
  const line = answer.querySelector(".saved");
  try {
    const response = await fetch(`/r/${page.review}/draft`, {
      method: "POST", body: fields, headers: { accept: "application/json" }, keepalive: true,
    });
    if (response.status === 401) {
      line.textContent = "登录已过期：内容仍在此页面，提交时会请您重新登录";
      return;
    }
    const result = await response.json();
    if (response.ok) answer.elements.draft.value = result.version;
    line.textContent = result.sentence;
  } catch {
    line.textContent = "草稿未能保存，请勿关闭页面";
  }
}

// ── a session's end is said two minutes before, and what was typed stays ──
const ending = document.querySelector(".ending");
const WARNED = 120;
let endsAt = Date.now() + Number(page.left) * 1000;
let watching;

function lasts(response) {
  const left = response.headers.get("x-session-left");
  if (left !== null) endsAt = Date.now() + Number(left) * 1000;
}
async function watchEnd(address, how) {
  clearTimeout(watching);
  if (address) await fetch(address, how).then(lasts, () => {});
  const left = (endsAt - Date.now()) / 1000;
  const last = how && left <= WARNED; // it was asked to hold on, and cannot
  ending.hidden = left > WARNED;
  ending.querySelector("button").hidden = left <= 0 || last;
  const words = left <= 0 ? "登录已过期，提交时会请您重新登录"
    : `登录将在 ${Math.max(Math.ceil(left / 60), 1)} 分钟内过期${last ? "，已到一次登录的最长时间" : ""}`;
  const text = words + (answer ? "；已填写的内容会保留。" : "。");
  if (ending.firstElementChild.textContent !== text) ending.firstElementChild.textContent = text;
  if (left > 0) watching = setTimeout(watchEnd, Math.max((left - WARNED) * 1000, 15_000), last ? "" : "/pulse?v=end");
}
if (ending) {
  ending.querySelector("button").addEventListener("click", () => watchEnd("/stay", { method: "POST" }));
  watchEnd();
}

// ── the pulse ──
const news = document.querySelector(".news");
const stale = document.querySelector(".stale");
let version = page.version;
let silentSince = Date.now();
let heard = Date.now();

async function beat() {
  if (document.hidden && Date.now() - silentSince > 300_000) return;
  if (!document.hidden) silentSince = Date.now();
  const minutes = Math.floor((Date.now() - heard) / 60_000);
  if (stale) stale.hidden = !minutes;
  if (minutes && stale) stale.textContent = `已 ${minutes} 分钟未更新，正在重试…（所示可能不是最新）`;
  try {
    const response = await fetch(`/pulse?v=${version}&r=${page.review ?? ""}${document.hidden ? "" : "&here=1"}`);
    lasts(response);
    heard = Date.now();
    if (stale) stale.hidden = true;
    if (response.status !== 200) return;
    const now = await response.json();
    const happened = version.split(".")[0] !== now.version.split(".")[0];
    version = now.version;
    const here = document.querySelector(".here");
    if (here && now.here) {
      here.querySelector("bdi").textContent = now.here.join("、");
      here.hidden = !now.here.length;
    }
    for (const place of document.querySelectorAll("[data-count]")) place.textContent = now.counts[place.dataset.count] ?? "";
    const moved = page.review
      ? String(now.revision) !== page.revision || (now.state !== page.state && !["PENDING", "CLAIMED"].includes(now.state))
      : happened;
    if (news && moved) news.hidden = false;
  } catch {
    // the next beat tries again
  }
}
if (version) {
  const next = () => setTimeout(async () => { await beat(); next(); }, (document.hidden ? 15_000 : 5000) * (0.9 + Math.random() / 5));
  next();
}

// ── keys: single ones outside fields only, never with Ctrl, Alt or Meta, never while characters are being composed ──
const sheet = document.querySelector("dialog.keys");
const opener = document.querySelector(".keys-open");
if (opener && sheet) {
  opener.hidden = false;
  opener.addEventListener("click", () => sheet.showModal());
}
const keysOn = () => localStorage.getItem("keys") !== "off";
for (const box of document.querySelectorAll(".keys-on")) {
  box.checked = keysOn();
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
}

// ── many at once: the one in sight is ticked, and the next one comes into it ──
const ones = [...document.querySelectorAll("form.batch .one")];
let after = -1, stoodAt = -1;
function tick() {
  const at = after >= 0 && scrollY === stoodAt ? after : ones.findIndex((one) => one.getBoundingClientRect().bottom > 140);
  if (!ones[at]) return false;
  const box = ones[at].querySelector("input[type=checkbox]");
  box.checked = !box.checked;
  box.focus({ preventScroll: true });
  after = box.checked ? at + 1 : at;
  (ones[after] ?? batch.querySelector(".foot")).scrollIntoView();
  stoodAt = scrollY;
  countTicks();
  return true;
}
function countTicks() {
  batch.querySelector(".ticked").textContent = ` ${batch.querySelectorAll(".one input:checked").length} 件`;
}
batch?.addEventListener("change", countTicks);
if (batch) countTicks();

let afterG = 0;
const rows = [...document.querySelectorAll(".rows a.row")];
const picks = document.querySelector("form.picks");
function pick(range) {
  const boxes = [...document.querySelectorAll("input[form=picks]")];
  const box = document.activeElement?.closest("tr")?.querySelector("input[form=picks]");
  if (!box) return false;
  const from = range ? Math.max(boxes.findLastIndex((one, at) => one.checked && at < boxes.indexOf(box)), 0) : boxes.indexOf(box);
  for (const one of range ? boxes.slice(from, boxes.indexOf(box) + 1) : []) one.checked = true;
  if (!range) box.checked = !box.checked;
  return true;
}
const step = (by) => rows[Math.min(Math.max(rows.indexOf(document.activeElement) + by, 0), rows.length - 1)]?.focus();
const press = (name) => document.querySelector(`button[data-key=${name}]`)?.click();

function single(event) {
  if (Date.now() - afterG < 1500) {
    afterG = 0;
    const place = { KeyQ: "/q", KeyM: "/me", KeyD: "/q?view=done", KeyL: "/lead" }[event.code];
    if (place) location.assign(place);
    return Boolean(place);
  }
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  if (digit && !event.shiftKey && answer) {
    const radio = answer.querySelectorAll("input[name=verdict]")[digit - 1];
    radio?.click();
    radio?.focus();
    return Boolean(radio);
  }
  if (event.code === "Slash" && event.shiftKey) return sheet?.showModal() ?? true;
  switch (event.code) {
    case "KeyJ": case "ArrowDown": if (!rows.length) return false; step(1); return true;
    case "KeyK": case "ArrowUp": if (!rows.length) return false; step(-1); return true;
    case "KeyR": answer?.querySelector("#reason").focus(); return Boolean(answer);
    case "KeyX": return picks ? pick(event.shiftKey) : tick();
    case "KeyB": if (picks?.querySelector("button")) picks.requestSubmit(); return Boolean(picks);
    case "KeyO": if (!rows.includes(document.activeElement)) return false; document.activeElement.click(); return true;
    case "KeyD": document.querySelector(".changed")?.scrollIntoView(); return Boolean(answer);
    case "KeyS": answer?.querySelector("#later")?.focus(); return Boolean(answer);
    case "Semicolon": answer?.querySelector("#snippet")?.focus(); return Boolean(answer);
    case "KeyC": press(event.shiftKey ? "release" : "claim"); return true;
    case "KeyN": case "KeyP": case "Enter": case "NumpadEnter": {
      if (event.code.endsWith("Enter") && (event.target !== document.body || answer)) return false;
      const link = document.querySelector(event.code === "KeyP" ? "a[rel=prev]" : "a[rel=next]");
      link?.click();
      return Boolean(link);
    }
    case "KeyG": afterG = Date.now(); return true;
    case "Slash": document.querySelector(".find input")?.focus(); return true;
    case "Period": if (news && !news.hidden) news.querySelector("a").click(); return true;
    default: return false;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.repeat) return;
  if (event.code === "Enter" && (event.ctrlKey || event.metaKey) && (answer ?? batch)) {
    event.preventDefault();
    (answer ?? batch).requestSubmit((answer ?? batch).querySelector(".primary"));
    return;
  }
  if (event.ctrlKey || event.altKey || event.metaKey || sheet?.open) return;
  const field = event.target.closest?.("textarea, select, input:not([type=radio]):not([type=checkbox])");
  if (event.code === "Escape") {
    if (field) field.blur();
    else if (page.page !== "queue" && page.page !== "login") location.assign(document.querySelector(".back a")?.href ?? "/q");
    return;
  }
  if (field || !keysOn()) return;
  if (single(event)) event.preventDefault();
});
