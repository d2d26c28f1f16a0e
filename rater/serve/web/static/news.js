// Shows a page anew when the server says that what it shows has changed.
"use strict";
(() => {
  const main = document.querySelector("main[data-news]");
  if (!main || !window.EventSource) return;
  // what changed together is shown at once; a window that nobody looks at can wait
  const SOON_MS = 250, HIDDEN_MS = 10_000, FULL_MS = 30_000;
  let waiting = false;
  const same = (one) => one.id ? `#${CSS.escape(one.id)}` : one.getAttribute("href") && `[href="${CSS.escape(one.getAttribute("href"))}"]`;
  const show = async () => {
    waiting = false;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!next) return;
    const focused = main.contains(document.activeElement) && document.activeElement !== main ? same(document.activeElement) : null;
    main.replaceChildren(...next.childNodes);
    if (focused) main.querySelector(focused)?.focus({ preventScroll: true });
    document.dispatchEvent(new Event("rater:shown"));
  };
  const showSoon = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(show, document.hidden ? HIDDEN_MS : SOON_MS);
  };
  const listen = () => {
    const news = new EventSource(main.dataset.news);
    news.addEventListener("changed", showSoon);
    news.addEventListener("open", showSoon); // what happened since the page was made is not sent
    news.addEventListener("error", () => {
      if (news.readyState === EventSource.CLOSED) setTimeout(listen, FULL_MS); // it was refused
    });
  };
  listen();
})();
