// What pages do a little better with a script. Each form works without one.
"use strict";

// A form that was sent can be sent again.
function refresh(form) {
  form.querySelector("button[type=submit]").removeAttribute("aria-busy");
  delete form.dataset.sent;
}

// One click is one purchase.
function once(event) {
  const form = event.currentTarget;
  if ("sent" in form.dataset) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "";
  form.querySelector("button[type=submit]").setAttribute("aria-busy", "true");
}

const forms = document.querySelectorAll("form[data-once]");
for (const form of forms) {
  form.addEventListener("submit", once);
}
// Also when the browser shows the page again from its memory, with a form that was sent.
window.addEventListener("pageshow", () => forms.forEach(refresh));

// A browser has a clipboard only where nobody listens: on HTTPS, and on the machine itself.
for (const button of navigator.clipboard ? document.querySelectorAll("button[data-copy]") : []) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.setAttribute("aria-live", "polite");
    button.textContent = button.dataset.done;
  });
}
