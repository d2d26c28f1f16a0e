// Shows a part of a page that the server computes for some seconds: it asks for the page that waits for it.
"use strict";
(() => {
  const show = async () => {
    const part = document.querySelector("[data-later]");
    if (!part) return;
    const path = part.dataset.later;
    try {
      const answer = await fetch(path, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return; // the link in it leads to what is wrong
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      const now = document.querySelector(`[data-later="${CSS.escape(path)}"]`); // the page may be another by now
      if (!next || !now) return;
      now.replaceWith(next);
      document.dispatchEvent(new Event("rater:shown"));
    } catch { /* the server is away for now */ }
  };
  show();
  document.addEventListener("rater:shown", show);
})();
