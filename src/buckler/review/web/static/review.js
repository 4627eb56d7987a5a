// Keys press the buttons of a page; a label carries the seconds that its event was on the screen.
"use strict";

let shownAt = performance.now();

function typing(target) {
  return target.matches("textarea, select, input:not([type=checkbox]):not([type=hidden])");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.key === "Escape" && target instanceof HTMLElement) {
    target.blur();
    return;
  }
  if (typing(target)) return;
  // Enter on a link or a button activates it.
  if (event.key === "Enter" && target.matches("a, button, summary")) return;
  for (const element of document.querySelectorAll("[data-key]")) {
    if (element.dataset.key !== event.key) continue;
    event.preventDefault();
    if (element.matches("input:not([type=checkbox])")) element.focus();
    else if (!event.repeat) element.click();
    return;
  }
});

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (form.dataset.sent) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (form.method === "post") form.dataset.sent = "yes";
    const field = form.querySelector("[data-seconds]");
    if (field) field.value = ((performance.now() - shownAt) / 1000).toFixed(2);
  },
  true,
);

// A page from the back/forward cache may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

document.addEventListener("htmx:afterSwap", () => {
  shownAt = performance.now();
  window.scrollTo(0, 0);
});
