// Adds the time of the reader's zone below each time in UTC, in what is there and in what comes later.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === "UTC") return;
  const [seconds, minutes] = ["medium", "short"].map((timeStyle) =>
    new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle, timeZone: zone }));
  const add = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([data-here])")) {
      time.dataset.here = "";
      const here = document.createElement("span");
      here.className = "here";
      const format = "minute" in time.dataset ? minutes : seconds;
      here.textContent = `${format.format(new Date(time.dateTime))} ${zone}`;
      time.append(here);
    }
  };
  add(document);
  document.addEventListener("rater:shown", () => add(document));
  document.addEventListener("htmx:load", (event) => add(event.target.parentElement || document));
})();
