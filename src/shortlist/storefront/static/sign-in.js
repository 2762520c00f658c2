/** Signing in to the pages for those who run the shop: a token that stays in this tab, one for all of them. */

import { send } from "./api.js";
import { h, show } from "./dom.js";

const KEY = "shortlist.service-token";
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

const form = document.querySelector("[data-key]");
const dev = document.querySelector("[data-dev]");

/** The token; null: nobody signed in. */
export const key = () => sessionStorage.getItem(KEY);

/** What went wrong, as a line of the page. */
export const refused = (why) => h("span", { class: "refused", role: "alert" }, why);

/** Ask for a token. `why` the last one was refused stands in `where`. */
export function ask(where, why = "") {
  sessionStorage.removeItem(KEY);
  form.hidden = false;
  dev.hidden = !LOOPBACK.includes(location.hostname);
  show(where, why && refused(why));
}

/** Whether the server refused the token and not what was asked with it. */
export const isSignedOut = (error) => error.status === 401 || error.status === 403;

/** The token was good: it need not be asked for. */
export function signedIn() {
  form.hidden = true;
}

/** `refresh` is called when somebody signs in; `failed` is told what a development server's own token met. */
export function onSignIn(refresh, failed) {
  const enter = (token) => {
    sessionStorage.setItem(KEY, token);
    form.reset();
    return refresh();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(form.elements.key.value.trim());
  });
  dev.addEventListener("click", async () => {
    try {
      const { data } = await send("/dev/operator", { method: "POST" });
      await enter(data.token);
    } catch (error) {
      failed(error.message);
    }
  });
}
