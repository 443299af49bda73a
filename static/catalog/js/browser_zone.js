/** Offer the browser's time zone beside a choice of zones that has another one chosen. */

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const button of document.querySelectorAll("button[data-zone-for]")) {
  const select = document.getElementById(button.dataset.zoneFor);
  const isKnown = [...select.options].some((option) => option.value === zone);
  const show = () => (button.hidden = !isKnown || select.value === zone);
  button.textContent = `Use ${zone}, as this browser`;
  button.addEventListener("click", () => {
    select.value = zone;
    show();
    select.focus();
  });
  select.addEventListener("change", show);
  show();
}
