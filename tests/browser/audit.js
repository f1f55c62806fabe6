// Looks at a page as somebody with weak eyes, a screen reader or a keyboard would, and returns what is wrong with it.
// The limits are those of WCAG 2.2, level AA.
const problems = [];
const wrong = (what, element) => problems.push(`${what}: ${element ? element.outerHTML.slice(0, 160) : ""}`);
const text = (element) => (element?.textContent ?? "").trim();

function isSeen(element) {
  const box = element.getBoundingClientRect();
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && box.width > 1 && box.height > 1;
}

// Colours, as [red, green, blue, alpha] with the first three of 0 to 255.
function colour(value) {
  const numbers = value.match(/^rgba?\(([^)]*)\)$/)?.[1].split(/[,/ ]+/).map(Number);
  if (!numbers) throw new Error(`a colour that cannot be read: ${value}`);
  return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
}

function over([r, g, b, a], below) {
  const mix = (top, bottom) => top * a + bottom * (1 - a);
  return [mix(r, below[0]), mix(g, below[1]), mix(b, below[2]), 1];
}

function backdrop(element) {
  if (!element) return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const own = colour(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, backdrop(element.parentElement));
}

function luminance([r, g, b]) {
  const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

function ratio(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

// 1.4.3: text is told from what is behind it. Large text needs less.
function checkContrast(element) {
  const style = getComputedStyle(element);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const behind = backdrop(element);
  const found = ratio(over(colour(style.color), behind), behind);
  if (found < (large ? 3 : 4.5)) wrong(`contrast ${found.toFixed(2)}`, element);
}

const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let texts = 0;
while (words.nextNode()) {
  const element = words.currentNode.parentElement;
  if (!words.currentNode.data.trim() || !isSeen(element) || element.closest(":disabled")) continue;
  checkContrast(element);
  texts += 1;
}
const isNight = matchMedia("(prefers-color-scheme: dark)").matches;
if (luminance(backdrop(document.body)) < 0.2 !== isNight) wrong("the colours of the other scheme");
if (texts === 0) wrong("a page without a text");

const controls = [...document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")];
for (const control of controls.filter((control) => control.checkVisibility())) {
  // 4.1.2: everything that can be used has a name.
  const by = control.getAttribute("aria-labelledby")?.split(/\s+/).map((id) => text(document.getElementById(id))).join(" ");
  const labels = [...(control.labels ?? [])].map(text).join(" ");
  const name = by || control.getAttribute("aria-label") || labels || text(control) || control.querySelector("img[alt]")?.alt;
  if (!name?.trim()) wrong("a control without a name", control);
  if (control.tabIndex < 0) wrong("a control that no keyboard reaches", control);
  if (control.tabIndex > 0) wrong("an order of its own", control);
  if (!isSeen(control)) continue;
  // 2.5.8: it can be hit.
  const box = control.getBoundingClientRect();
  const inline = getComputedStyle(control).display === "inline";
  if (!inline && (box.width < 23.9 || box.height < 23.9)) wrong(`a target of ${box.width} by ${box.height}`, control);
  // 1.4.11: what can be used is told from what is around it.
  if (control.matches("button, .button, input[type=text]") && !control.disabled) {
    const around = backdrop(control.parentElement);
    const style = getComputedStyle(control);
    const edge = ratio(over(colour(style.borderTopColor), around), around);
    if (Math.max(edge, ratio(backdrop(control), around)) < 3) wrong("a control that cannot be told from its surroundings", control);
  }
}
for (const field of document.querySelectorAll("input[type=text]")) checkContrast(field);

// 3.1.1, 2.4.2, 1.3.1, 2.4.1: what a screen reader goes by.
if (!document.documentElement.lang) wrong("a page without a language");
if (!document.title.trim()) wrong("a page without a title");
if (document.querySelectorAll("main").length !== 1) wrong("not one main part");
if (document.querySelectorAll("h1").length !== 1) wrong("not one heading of the first level");
if (!document.querySelector("a[href='#main']")) wrong("no way around the navigation");
if (document.querySelector("meta[name=viewport]")?.content.match(/user-scalable|maximum-scale/)) wrong("no zoom");
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) wrong("a heading that skips a level", heading);
  if (!text(heading)) wrong("an empty heading", heading);
  level = next;
}
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
if (new Set(ids).size !== ids.length) wrong(`an id that is there twice: ${ids}`);
for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
  const named = ["aria-labelledby", "aria-describedby", "for"].flatMap((name) => element.getAttribute(name)?.split(/\s+/) ?? []);
  for (const id of named) if (!document.getElementById(id)) wrong(`nothing is called ${id}`, element);
}
for (const image of document.querySelectorAll("img:not([alt])")) wrong("an image without words", image);
for (const radio of document.querySelectorAll("input[type=radio]")) {
  if (!text(radio.closest("fieldset")?.querySelector("legend"))) wrong("a choice without a question", radio);
}

// 1.4.10: nobody scrolls in two directions.
if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
  wrong(`${document.documentElement.scrollWidth} wide in a window of ${document.documentElement.clientWidth}`);
}
// Nothing is in the way of something else: cards stand beside each other, what they hold stays in them, and buttons of a row are level.
const box = (element) => element.getBoundingClientRect();
const cards = [...document.querySelectorAll(".card, .tier, .notice")].filter(isSeen);
for (const [index, card] of cards.entries()) {
  for (const other of cards.slice(index + 1).filter((other) => !card.contains(other))) {
    const [a, b] = [box(card), box(other)];
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) wrong("a card over another", other);
  }
}
const seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (seen.nextNode()) {
  const element = seen.currentNode.parentElement;
  const card = element.closest(".sheet, .tier, .card, .notice");
  if (!card || !seen.currentNode.data.trim() || !isSeen(element) || element.closest(".unseen")) continue;
  const range = document.createRange();
  range.selectNodeContents(seen.currentNode);
  const [inner, outer] = [range.getBoundingClientRect(), box(card)];
  if (inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5) wrong("a text out of its card", element);
}
const tiers = [...document.querySelectorAll(".tier")].filter(isSeen);
for (const tier of tiers) {
  const row = tiers.filter((other) => Math.abs(box(other).top - box(tier).top) < 1);
  const buttons = row.map((other) => [...other.querySelectorAll(".buy button, .buy .button")].find(isSeen)).filter(Boolean);
  const tops = buttons.map((button) => box(button).top);
  if (Math.max(...tops) - Math.min(...tops) > 1) wrong(`buttons at ${tops}`, tier);
}
// What the policy of the page has kept from it is missing.
for (const sheet of document.querySelectorAll("link[rel=stylesheet]")) if (!sheet.sheet) wrong("a style that was not loaded", sheet);
if (document.querySelector("style, [style], script:not([src])")) wrong("a style or script inside of the page");
return problems;
