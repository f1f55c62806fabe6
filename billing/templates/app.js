// The buttons of the billing pages: each form posts its fields as JSON, then follows the URL of the answer, or says
// what went wrong.
"use strict";

const errorLine = document.querySelector("[data-error]");

function say(message) {
  errorLine.textContent = message;
  errorLine.hidden = !message;
}

// A price with a consent text is bought only when the box is ticked; a browser may restore the tick by itself.
function refresh(form) {
  const consent = form.querySelector("input[name=consent]");
  form.querySelector("button").disabled = Boolean(consent) && !consent.checked;
}

async function post(form) {
  const response = await fetch(form.dataset.post, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(answer.detail || `The request failed (${response.status}). Try again shortly.`);
  }
  return answer;
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  button.disabled = true;
  say("");
  try {
    const answer = await post(form);
    if (answer.url) {
      location.assign(answer.url);
      return;
    }
    const done = document.createElement("p");
    done.className = "done";
    done.setAttribute("role", "status");
    done.textContent = form.dataset.done;
    form.replaceWith(done);
  } catch (error) {
    say(error.message);
    refresh(form);
  }
}

const forms = document.querySelectorAll("form[data-post]");
for (const form of forms) {
  form.addEventListener("submit", submit);
  form.addEventListener("change", () => refresh(form));
}
// Also when the browser shows the page again from its memory, with a button still waiting.
window.addEventListener("pageshow", () => forms.forEach(refresh));
