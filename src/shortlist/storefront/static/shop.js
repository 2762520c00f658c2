/** What the page knows: who shops, the slate they see, what they did, and how long everything took. */

import { Tracker } from "/client.js";
import { Problem, get, post, token } from "./api.js";
import { CLICKS, columnOf } from "./journey.js";

const INTERACTIONS = new Set(["view", "click", "cart", "purchase", "rating", "like"]);
// How long after the event was accepted the slate is asked for again. Features move within 10 ms and
// slates within 100 ms (p99), so the second look usually has it; the rest is for a busy machine. Seven
// looks stay far below the 100 requests a minute that a user has.
const LOOKS_MS = [15, 40, 80, 160, 300, 500, 800];
const LOOKS_AT_SAME = 3; // a slate that knows of the event and stays as it was is believed then
const NO_MODEL_S = 10; // between looks for a first model
// A fallback answers when computing took too long; what was computed is there a moment later.
const FALLBACKS = new Set(["stale", "popular_category", "popular"]);
const SECOND_LOOKS_MS = [400, 1_500];
const KEPT_EVENTS = 30;
const KEPT_TIMINGS = 24;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Shop extends EventTarget {
  personas = [];
  categories = [];
  user = null; // { user_id, name, blurb, avatar, isGuest }
  slate = null; // the last one answered: { …, browser_ms, category, page, without }
  marks = new Map(); // item_id -> { kind: "new" | "up" | "down", by }, since the slate before
  events = []; // newest first: { event, state, detail, title }
  features = null; // GET /users/{id}
  timings = []; // newest last: { tier, server_ms, browser_ms }
  journey = []; // of a guest: a column per click, see journey.js
  reactionMs = null; // from the last click to the slate that knew of it, on screen
  place = { category: null, page: 1 };
  without = null; // the item one looks at: its page's slate leaves it out
  problem = null;
  items = new Map(); // item_id -> what we know of it
  opinions = new Map(); // item_id -> "like" or "dislike", as far as this page knows
  origins = new Map(); // item_id -> { request_id, position } of the list it was opened from
  #expected = 0; // interactions the server must have counted before a slate knows of them all
  #round = 0; // a later request makes answers of earlier ones worthless
  #reaction = 0;
  #retry = null;
  #secondLooks = 0;

  constructor() {
    super();
    const options = new URLSearchParams(location.search);
    this.tracker = new Tracker({
      token: (userId, ask) => token(userId, ask),
      urgent: ["click", "purchase", "cart", "like", "dislike", "rating", "cancel"],
      intervalMs: Number(options.get("flush_ms")) || 5_000, // tests need not wait
      onEvent: (...what) => this.#noted(...what),
    });
  }

  async start() {
    const guest = this.guest();
    const [personas] = await Promise.allSettled([get("/personas")]);
    this.personas = Array.isArray(personas.value?.data) ? personas.value.data.filter((one) => one?.user_id) : [];
    const last = this.#remembered(); // null: a first visit, "": the guest
    const known = this.personas.find((one) => String(one.user_id) === last) ?? (last ? this.somebody(last) : null);
    this.#become(known ?? (last === null ? this.personas[0] : null) ?? guest);
    this.#tell("user");
  }

  guest() {
    return { user_id: Tracker.guestId(), name: "Guest", blurb: "Nothing known yet: every click counts.", isGuest: true };
  }

  somebody(userId) {
    return this.personas.find((one) => String(one.user_id) === userId) ?? { user_id: userId, name: userId, blurb: "A user of this shop's data." };
  }

  /** The guest of this browser leaves; the next one is unknown. */
  newGuest() {
    this.choose({ ...this.guest(), user_id: Tracker.guestId({ isNew: true }) });
  }

  choose(who) {
    this.#become(who);
    this.#remember(who);
    this.#tell("user");
  }

  #become(who) {
    this.user = { ...who, user_id: String(who.user_id) };
    this.tracker.setUser(this.user.user_id);
    this.slate = null;
    this.marks = new Map();
    this.features = null;
    this.opinions = new Map();
    this.origins = new Map();
    this.journey = [];
    this.reactionMs = null;
    this.#expected = 0;
    this.#reaction++;
    this.loadFeatures();
  }

  #remembered() {
    try {
      return localStorage.getItem("shortlist.persona");
    } catch {
      return null;
    }
  }

  #remember(who) {
    try {
      localStorage.setItem("shortlist.persona", who.isGuest ? "" : String(who.user_id));
    } catch {
      // For this page alone.
    }
  }

  async loadCategories() {
    try {
      const { data } = await get("/categories", { userId: this.user.user_id });
      const rows = Array.isArray(data) ? data : (data?.categories ?? []);
      this.categories = rows
        .map((row) => (typeof row === "string" ? row : (row.category ?? row.name)))
        .filter((name) => typeof name === "string" && name);
      this.#tell("categories");
    } catch {
      // Chips are a help, not a need.
    }
  }

  /** Show the slate of a place ({ category, page }); what is on screen stays until the answer is there. */
  async show(place = this.place) {
    const isSame = place.category === this.place.category && place.page === this.place.page;
    this.place = place;
    if (!isSame) this.marks = new Map();
    const round = ++this.#round;
    clearTimeout(this.#retry);
    this.#tell("busy");
    try {
      const slate = await this.#ask();
      if (round === this.#round) this.#accept(slate, { isReaction: false });
      this.loadFeatures();
    } catch (problem) {
      if (round === this.#round) this.#fail(problem);
    }
  }

  async #ask() {
    const { without } = this;
    const query = new URLSearchParams({ user_id: this.user.user_id });
    if (without !== null) query.set("exclude", without);
    if (this.place.category) query.set("category", this.place.category);
    if (this.place.page > 1) query.set("page", String(this.place.page));
    const { data, tookMs } = await get(`/recommendations?${query}`, { userId: this.user.user_id });
    return { recommendations: [], features: {}, model: {}, missing_sources: {}, ...data, browser_ms: tookMs, ...this.place, without };
  }

  #accept(slate, { isReaction }) {
    const before = this.slate;
    clearTimeout(this.#retry);
    const isComparable = before && before.category === slate.category && before.page === slate.page;
    if (isReaction && isComparable) this.marks = compare(...comparable(before, slate));
    else if (!isComparable) this.marks = new Map();
    this.slate = slate;
    this.problem = null;
    for (const item of slate.recommendations) {
      item.request_id = slate.request_id;
      this.items.set(item.item_id, { ...this.items.get(item.item_id), ...item });
    }
    this.#travelled(slate);
    this.timings = [...this.timings, slate].slice(-KEPT_TIMINGS);
    this.#expected = Math.max(this.#expected, slate.features?.interaction_count ?? 0);
    const isFallback = FALLBACKS.has(slate.tier) && slate.features?.interaction_count > 0;
    if (!isFallback) this.#secondLooks = 0;
    else if (slate.model?.version && this.#secondLooks < SECOND_LOOKS_MS.length) {
      this.#retry = setTimeout(() => this.show(), SECOND_LOOKS_MS[this.#secondLooks++]);
    }
    if (!slate.model?.version) this.#retry = setTimeout(() => this.#lookForModel(), NO_MODEL_S * 1000);
    this.#tell("slate", { isReaction });
  }

  /** Keep what a guest's first clicks did to the list; of one number of clicks the latest list. */
  #travelled(slate) {
    const column = columnOf(slate);
    if (!this.user.isGuest || slate.category || slate.page > 1 || column.clicks > CLICKS) return;
    this.journey = [...this.journey.filter((one) => one.clicks < column.clicks), column];
  }

  #lookForModel() {
    if (document.visibilityState === "visible") this.show();
    else this.#retry = setTimeout(() => this.#lookForModel(), NO_MODEL_S * 1000);
  }

  #fail(error) {
    if (error.name === "AbortError") return;
    this.problem = error instanceof Problem ? error : new Problem(-1, "Something went wrong in this page", String(error));
    const waitS = this.problem.retryAfterS ?? (this.problem.status === 0 || this.problem.status >= 500 ? 3 : null);
    if (waitS !== null) this.#retry = setTimeout(() => this.show(), waitS * 1000);
    this.problem.againAt = waitS === null ? null : Date.now() + waitS * 1000;
    this.#tell("problem");
  }

  // -- somebody new --------------------------------------------------------------------------------

  async survey() {
    const { data } = await post("/onboarding", { user_id: this.user.user_id }, { userId: this.user.user_id });
    return { categories: [], items: [], choose: 3, ...data };
  }

  /** Send the answers to the survey ({ categories, ratings } or { skipped: true }); returns once a slate knows. */
  async answer(answers) {
    const userId = this.user.user_id;
    const before = this.features?.version ?? 0;
    await post("/onboarding/submit", { user_id: userId, ...answers }, { userId });
    this.place = { category: null, page: 1 };
    const round = ++this.#round;
    for (const wait of LOOKS_MS) {
      await sleep(wait);
      const slate = await this.#ask();
      if (round !== this.#round) return;
      if ((slate.features?.version ?? 0) > before || wait === LOOKS_MS.at(-1)) {
        this.#accept(slate, { isReaction: false });
        await this.loadFeatures(); // the page that comes next names the answers
        return;
      }
    }
  }

  // -- what people do ------------------------------------------------------------------------------

  /** An item of a list was opened: what is done on its page is owed to that list. */
  open(item) {
    this.origins.set(item.item_id, { request_id: item.request_id, position: item.position });
    return this.act("click", item);
  }

  /** Note what was done with an item; where it came from (request_id and position) goes with it. */
  act(type, item, fields = {}) {
    const isSold = type === "purchase" || type === "cart";
    if (INTERACTIONS.has(type)) this.#expected++;
    if (type === "like" || type === "dislike") this.opinions.set(item.item_id, type);
    this.items.set(item.item_id, { ...this.items.get(item.item_id), ...item });
    return this.tracker.track(type, item.item_id, {
      request_id: item.request_id,
      position: item.request_id == null ? undefined : item.position,
      price: isSold ? item.price : undefined,
      currency: isSold && item.price != null ? item.currency : undefined,
      quantity: isSold ? 1 : undefined,
      ...fields,
    });
  }

  #noted(event, state, detail) {
    const known = this.events.find((row) => row.event.event_id === event.event_id);
    if (known) Object.assign(known, { state, detail });
    else this.events = [{ event, state, detail }, ...this.events].slice(0, KEPT_EVENTS);
    this.#tell("events");
    const isMine = event.user_id === this.user?.user_id;
    if (state === "sent" && isMine && event.type !== "impression") this.#react(event);
  }

  /** Ask for the slate until it knows of `event`, then show what moved. */
  async #react(event) {
    const reaction = ++this.#reaction;
    const round = ++this.#round;
    const isCurrent = () => reaction === this.#reaction && round === this.#round;
    const before = this.slate;
    let slate = null;
    let looks = 0;
    try {
      for (const wait of LOOKS_MS) {
        await sleep(wait);
        if (!isCurrent()) return;
        slate = await this.#ask();
        if (!isCurrent()) return;
        if (this.#knows(slate, before, event) && (!isEqual(before, slate) || ++looks === LOOKS_AT_SAME)) break;
      }
    } catch (problem) {
      if (isCurrent()) this.#fail(problem);
      return;
    }
    if (!isEqual(before, slate)) this.reactionMs = Date.now() - (event.ts ?? Date.now());
    this.#expected = slate.features?.interaction_count ?? this.#expected;
    this.#accept(slate, { isReaction: true });
    this.loadFeatures();
  }

  #knows(slate, before, event) {
    const { version = 0, interaction_count: count } = slate.features ?? {};
    if (INTERACTIONS.has(event.type) && count != null && count < this.#expected) return false;
    return version > (before?.features?.version ?? -1);
  }

  /** Bring what the strip shows of the user up to date. */
  async loadFeatures() {
    const userId = this.user.user_id;
    try {
      const { data } = await get(`/users/${encodeURIComponent(userId)}`, { userId });
      if (userId !== this.user.user_id) return;
      this.features = data;
      for (const row of Array.isArray(data?.history) ? data.history : []) {
        if (row?.item_id && !this.items.has(row.item_id)) this.items.set(row.item_id, row);
      }
      this.#tell("features");
    } catch {
      // The strip says less; the slate is what matters.
    }
  }

  async item(itemId) {
    const { data } = await get(`/items/${encodeURIComponent(itemId)}`, { userId: this.user.user_id });
    const item = { ...data, category: data.category ?? data.categories?.[0] ?? null };
    this.items.set(itemId, { ...this.items.get(itemId), ...item });
    return item;
  }

  async similar(itemId) {
    const query = new URLSearchParams({ item_id: itemId });
    const { data } = await get(`/similar?${query}`, { userId: this.user.user_id });
    const items = (data.recommendations ?? []).map((item, index) => ({ position: index, ...item, request_id: data.request_id }));
    for (const item of items) this.items.set(item.item_id, { ...this.items.get(item.item_id), ...item });
    return { ...data, recommendations: items };
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

const ids = (items) => items.map((item) => item.item_id);

/** The items of two slates that can be compared: what is left out of one is left out of both, and no list is longer
 * for it. */
function comparable(before, after) {
  const lists = [before, after].map((slate) => slate?.recommendations ?? []);
  if (!before || !after || before.without === after.without) return lists;
  const kept = lists.map((items) => items.filter(({ item_id: id }) => id !== before.without && id !== after.without));
  const length = Math.min(...kept.map((items) => items.length));
  return kept.map((items) => items.slice(0, length));
}

function isEqual(one, other) {
  const [a, b] = comparable(one, other).map(ids);
  return a.length === b.length && a.every((id, index) => id === b[index]);
}

/** What moved between two lists: new items, and those that rose or fell. */
function compare(before, after) {
  const was = new Map(before.map((item, index) => [item.item_id, index]));
  const marks = new Map();
  after.forEach((item, index) => {
    const by = was.has(item.item_id) ? was.get(item.item_id) - index : null;
    if (by === null) marks.set(item.item_id, { kind: "new", by: 0 });
    else if (by !== 0) marks.set(item.item_id, { kind: by > 0 ? "up" : "down", by: Math.abs(by) });
  });
  return marks;
}
