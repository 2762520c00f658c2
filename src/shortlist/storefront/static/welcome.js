/** The survey for somebody new: categories to choose, five items to rate, or neither. */

import { h, icon, picture, pictureUrl, price, show, titleOf } from "./dom.js";
import { explain } from "./home.js";

const STARS = ["Not for me", "Rather not", "It's fine", "I like it", "I love it"];

/** Draw the survey into `main`. `hands.home` is called once it is answered or skipped. Returns a function that lets go. */
export function welcome(main, shop, { hands }) {
  const chosen = new Set();
  const stars = new Map();
  const title = h("h1", { tabindex: "-1" }, "Welcome! What do you like?");
  const hint = h("p", {}, "Choose a few categories. Your first list mixes what is popular there with things to find out.");
  const notices = h("div", { data: { notices: "" }, role: "alert" });
  const tiles = h("div", { class: "tiles-chosen", role: "group", "aria-label": "Categories" });
  const samples = h("div", { class: "samples" });
  const count = h("p", { class: "fineprint", "aria-live": "polite" });
  const done = h("button", { class: "button is-main", type: "submit", data: { act: "submit" }, disabled: true }, "Show my list", icon("next"));
  const skip = h("button", { class: "button", type: "button", data: { act: "skip" }, on: { click: () => send({ skipped: true }) } }, "Skip");
  const form = h("form", { class: "welcome", on: { submit: (event) => { event.preventDefault(); send({ categories: [...chosen], ratings: Object.fromEntries(stars) }); } } },
    h("div", { class: "slate-head" }, h("div", {}, title, hint)), notices, tiles,
    h("div", { class: "section-head" }, h("h2", {}, "How about these?"), h("small", {}, "Optional: a star or five says more than a click.")), samples,
    h("div", { class: "welcome-end" }, done, skip, count));
  let isHere = true;
  show(main, form);
  main.setAttribute("aria-busy", "true");

  async function load() {
    try {
      const survey = await shop.survey();
      if (isHere) draw(survey);
    } catch (problem) {
      if (isHere) fail(problem);
    } finally {
      main.setAttribute("aria-busy", "false");
    }
  }

  function draw(survey) {
    show(tiles, ...survey.categories.map((one) => tile(one)));
    show(samples, ...survey.items.map((item) => sample(item)));
    said(survey.choose);
  }

  function tile(one) {
    const image = h("img", { alt: "", src: pictureUrl({ item_id: one.category, image: one.image }), decoding: "async" });
    image.addEventListener("error", () => image.remove());
    return h("button", { class: "tile-chosen", type: "button", "aria-pressed": "false", data: { choose: one.category }, on: { click: (event) => {
      const isOn = !chosen.has(one.category);
      if (isOn) chosen.add(one.category);
      else chosen.delete(one.category);
      event.currentTarget.setAttribute("aria-pressed", String(isOn));
      said();
    } } },
    h("span", { class: "tile-picture" }, image),
    h("span", {}, h("b", {}, one.category), h("small", { class: "num" }, `${one.items} ${one.items === 1 ? "item" : "items"}`)));
  }

  function sample(item) {
    const name = `stars-${item.item_id}`;
    return h("div", { class: "sample", data: { sample: item.item_id } },
      picture(item, { isEager: true }),
      h("b", { title: titleOf(item) }, titleOf(item)),
      h("small", {}, [item.category, price(item)].filter(Boolean).join(" · ")),
      h("fieldset", { class: "stars" }, h("legend", { class: "unseen" }, `How do you like ${titleOf(item)}?`),
        STARS.map((words, index) => h("label", { title: words },
          h("input", { type: "radio", name, value: String(index + 1), "aria-label": words, on: { change: () => { stars.set(item.item_id, index + 1); said(); } } }), icon("star")))));
  }

  let wanted = 3;
  function said(choose = wanted) {
    wanted = choose;
    done.disabled = chosen.size === 0;
    const left = wanted - chosen.size;
    count.textContent = chosen.size === 0 ? `Choose ${wanted}, or as many as you like.`
      : `${chosen.size} chosen${left > 0 ? `, ${left} more would help` : ""}${stars.size ? ` · ${stars.size} rated` : ""}`;
  }

  async function send(answers) {
    done.disabled = skip.disabled = true;
    try {
      await shop.answer(answers);
      if (isHere) hands.home();
    } catch (problem) {
      if (isHere) fail(problem);
      skip.disabled = false;
      said();
    }
  }

  function fail(problem) {
    const [name, text] = explain(problem);
    show(notices, h("div", { class: "notice is-bad", data: { problem: problem.status ?? -1 } }, icon("alert"), h("div", {}, h("strong", {}, `${name}.`), ` ${text ?? ""}`)));
  }

  load();
  return () => {
    isHere = false;
    main.removeAttribute("aria-busy");
  };
}
