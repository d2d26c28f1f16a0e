// A time is chosen in the reader's zone, and sent in UTC; both fields show the same instant.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === "UTC") return;
  const MINUTES = 16; // of "2025-03-01T09:00:00.000Z"
  const here = (utc) => {
    const at = new Date(`${utc}Z`);
    return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, MINUTES);
  };
  for (const utc of document.querySelectorAll("input[data-instant]")) {
    const field = utc.cloneNode();
    field.id = `${utc.id}-here`;
    for (const name of ["name", "data-instant"]) field.removeAttribute(name);
    const label = document.createElement("label");
    label.htmlFor = field.id;
    label.textContent = `${utc.dataset.instant} ${zone}`;
    const show = () => { field.value = utc.value && here(utc.value); };
    field.addEventListener("input", () => {
      utc.value = field.value && new Date(field.value).toISOString().slice(0, MINUTES);
    });
    utc.addEventListener("input", show);
    show();
    document.querySelector(`label[for="${utc.id}"]`).before(label, field);
  }
})();
