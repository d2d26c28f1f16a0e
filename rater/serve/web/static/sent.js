// Looks again and again at an order that was sent, until it is applied or refused; the button does it by hand.
"use strict";
(() => {
  const SOON_MS = 1_000, LATER_MS = 10_000, PATIENCE_MS = 60_000;
  const main = document.querySelector("main"), began = Date.now();
  const wait = () => setTimeout(look, Date.now() - began < PATIENCE_MS ? SOON_MS : LATER_MS);
  const look = async () => {
    const form = main.querySelector("form[data-sent]");
    if (!form) return;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (answer.redirected) return void location.replace(answer.url);
      if (answer.status !== 202 && answer.status !== 409) return void wait();
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const shown = next.querySelector("main");
      if (shown && answer.status === 409) {
        main.replaceChildren(...shown.childNodes);
        document.title = next.title;
        document.dispatchEvent(new Event("rater:shown"));
      }
    } catch { /* the server is away for now */ }
    wait();
  };
  wait();
})();
