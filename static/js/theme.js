// The switch of light and dark: applied at once, and kept by the server in a cookie so that the next page has it from its first byte.

const form = document.querySelector("[data-theme-form]");

if (form) {
  form.querySelector("[data-without-script]").hidden = true;
  form.addEventListener("change", async () => {
    const theme = new FormData(form).get("theme");
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok) form.submit();
  });
}
