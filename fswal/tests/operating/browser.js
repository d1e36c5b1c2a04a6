// What is wrong with a page as it is shown: in a frame of some width, light or dark.
const page = document.getElementById("page").contentDocument;
const view = page.defaultView;
const wrong = new Set();
const says = (element) => element.textContent.trim().slice(0, 40);
const box = (element) => element.getBoundingClientRect();

const brightness = (colour) => {
  const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
  const linear = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const colourBehind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = view.getComputedStyle(e).backgroundColor;
    if (!/transparent|, 0\)/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};

if (page.documentElement.scrollWidth > view.innerWidth) wrong.add("it is wider than its window");
for (const element of page.querySelectorAll("main *")) {
  if (element.closest(".scroll, svg, details:not([open]) > :not(summary)")) continue;
  const { left, right, width } = box(element);
  if (width && (left < -1 || right > view.innerWidth + 1)) wrong.add("cut off: " + says(element));
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  const text = brightness(view.getComputedStyle(element).color);
  const back = brightness(colourBehind(element));
  const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
  if (contrast < 4.5) wrong.add(`hard to read (${contrast.toFixed(1)}): ` + says(element));
}
for (const table of page.querySelectorAll(".scroll")) {
  if (!table.closest("details") && table.scrollWidth > table.clientWidth) {
    wrong.add("a table is wider than its place: " + says(table));
  }
}
for (const axis of page.querySelectorAll(".plot .x, .plot .y")) {
  const marks = [...axis.children].filter((mark) => box(mark).width).map((mark) => [mark, box(mark)]);
  marks.forEach(([mark, one], n) => {
    for (const [other, two] of marks.slice(n + 1)) {
      const apart = one.right <= two.left || two.right <= one.left || one.bottom <= two.top + 1 ||
        two.bottom <= one.top + 1;
      if (!apart) wrong.add(`marks run into each other: ${says(mark)} and ${says(other)}`);
    }
  });
}
const scheme = view.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
const found = [...wrong].join("; ") || "nothing is wrong";
document.body.dataset.seen = `${view.innerWidth} ${scheme}: ${found}`;
