/**
 * shortlist's tracker: tells the recommender what people did and what they really saw.
 *
 *   import { Tracker } from "https://recommender.example/client.js";
 *   const tracker = new Tracker({ url: "https://recommender.example", userId: "42", token: (user) => myToken(user) });
 *   tracker.view("sku-1");                                                  // a product page was opened
 *   tracker.click("sku-2", { request_id: slate.request_id, position: 3 });  // an item of a slate was clicked
 *   tracker.observe(card, { item_id: "sku-2", request_id: slate.request_id, position: 3 });  // was it seen?
 *
 * The recommender lets other sites in by its setting server.cors_origins.
 * Without modules: <script src="https://recommender.example/client.classic.js"></script>, then
 * `new Shortlist.Tracker({ … })`.
 *
 * What it promises
 *  - It never blocks the page and never throws into it: every call returns at once.
 *  - Events go in batches of 10 or after 5 s; clicks and purchases go at once.
 *  - Nothing is lost quietly: what could not be sent is tried again with the same `event_id` (the server
 *    counts an id once), first after 1 s, then less and less often, up to every 30 s; it waits in
 *    localStorage, so it survives a reload. At most 1,000 events wait, then the oldest impressions go first.
 *  - On leaving the page the rest is sent by a request that outlives it (`fetch` with keepalive, or
 *    `sendBeacon` where no token is needed). Nobody hears that answer, so those events are sent once more
 *    on the next visit; the `event_id` makes that harmless.
 *  - An impression is an item of which half was on screen for a second, once per request and item.
 *  - 401 asks `token` again; 429 and 503 wait as long as Retry-After says; refused events are dropped and
 *    named once in the console.
 *
 * Options (defaults): url ("" = this site), userId (a guest id kept in this browser), token (null, a string,
 * or a function of (userId, { isRefresh }) that may be async), batchSize (10), intervalMs (5000),
 * urgent (["click", "purchase"]), maxQueue (1000), sessionGapMs (30 min), visibleShare (0.5),
 * visibleMs (1000), timeoutMs (10 s), onEvent ((event, state, detail) => …; state is queued, sent, refused
 * or dropped).
 */

const PREFIX = "shortlist.";
const MAX_EVENTS = 100; // in one request, when a queue has built up
const MAX_BYTES = 28_000; // two requests at a time stay under the 64 KiB that keepalive allows
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
const MANY_WATCHED = 200;
const MAX_SEEN = 5_000;

const encoder = new TextEncoder();

/** localStorage where the browser allows it, else this page's memory. */
const memory = new Map();
const storage = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    } catch {
      return memory.get(key) ?? null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(PREFIX + key, JSON.stringify(value));
    } catch {
      memory.set(key, value);
    }
  },
  remove(key) {
    memory.delete(key);
    try {
      localStorage.removeItem(PREFIX + key);
    } catch {
      // Not allowed here: there is nothing to remove either.
    }
  },
  keys(start) {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(PREFIX + start))
        .map((key) => key.slice(PREFIX.length));
    } catch {
      return [];
    }
  },
};

/** A UUID of version 7: ordered by time. By hand, since crypto.randomUUID is missing on plain http. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let now = Date.now();
  for (let i = 5; i >= 0; i--, now = Math.floor(now / 256)) bytes[i] = now % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Retry-After in ms (seconds or a date), or null. */
function retryAfterMs(response) {
  const said = response.headers.get("retry-after");
  if (!said) return null;
  const seconds = Number(said);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(said) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

export class Tracker {
  #options;
  #queue = []; // events not yet confirmed, oldest first
  #inFlight = new Set(); // event_ids
  #retimed = new Set(); // event_ids that were sent again without their time
  #senders = 0;
  #failures = 0;
  #wait = { until: 0, isOrdered: false }; // isOrdered: the server asked for it
  #timer = null;
  #timerAt = Infinity;
  #saveTimer = null;
  #most = MAX_EVENTS;
  #tokens = new Map();
  #complaints = new Set();
  #queueKey = `queue.${uuid()}`;
  #seen = new Set();
  #watched = new Map(); // element -> { fields, timer, isVisible }
  #observer = null;
  #abort = new AbortController();

  constructor(options = {}) {
    this.#options = {
      url: "",
      userId: null,
      token: null,
      batchSize: 10,
      intervalMs: 5_000,
      urgent: ["click", "purchase"],
      maxQueue: 1_000,
      sessionGapMs: 30 * 60_000,
      visibleShare: 0.5,
      visibleMs: 1_000,
      timeoutMs: 10_000,
      onEvent: null,
      ...options,
    };
    this.#options.userId ??= Tracker.guestId();
    this.#quietly(() => {
      this.#adopt();
      this.#listen();
    });
  }

  /** An id for somebody who has not said who they are, kept in this browser. */
  static guestId({ isNew = false } = {}) {
    const known = isNew ? null : storage.get("guest");
    if (typeof known === "string" && known) return known;
    const id = `guest-${uuid()}`;
    storage.set("guest", id);
    return id;
  }

  get userId() {
    return this.#options.userId;
  }

  /** How many events wait for the server's word. */
  get pending() {
    return this.#queue.length;
  }

  /** From now on events are this user's; what waits keeps its own. Null: the guest of this browser. */
  setUser(userId) {
    this.#options.userId = userId ?? Tracker.guestId();
  }

  /**
   * Somebody signed in: from now on events are theirs. Returns the guest they were, for
   * `POST /users/{id}/merge`. Whoever uses this browser without signing in after them is another guest.
   */
  signIn(userId) {
    const guest = Tracker.guestId();
    Tracker.guestId({ isNew: true });
    this.setUser(userId);
    return guest;
  }

  view(itemId, fields) {
    return this.track("view", itemId, fields);
  }
  click(itemId, fields) {
    return this.track("click", itemId, fields);
  }
  cart(itemId, fields) {
    return this.track("cart", itemId, fields);
  }
  purchase(itemId, fields) {
    return this.track("purchase", itemId, fields);
  }
  like(itemId, fields) {
    return this.track("like", itemId, fields);
  }
  dislike(itemId, fields) {
    return this.track("dislike", itemId, fields);
  }
  rate(itemId, rating, fields) {
    return this.track("rating", itemId, { ...fields, rating });
  }

  /**
   * Note one event. `fields`: request_id and position of the slate it came from, quantity, price, currency,
   * rating, or anything of your own. Returns the event, or null where it could not be noted.
   */
  track(type, itemId, fields = {}) {
    return this.#quietly(() => {
      const ts = Date.now();
      const event = {
        ...fields,
        event_id: uuid(),
        user_id: String(this.#options.userId),
        type,
        item_id: String(itemId),
        ts,
        session_id: this.#session(ts),
      };
      for (const key of Object.keys(event)) if (event[key] == null) delete event[key];
      this.#queue.push(event);
      this.#bound();
      this.#tell(event, "queued");
      this.#saveSoon();
      const waiting = this.#queue.length - this.#inFlight.size;
      if (this.#options.urgent.includes(type)) this.#send(true);
      else if (waiting >= this.#options.batchSize) this.#send(false);
      else this.#wake(this.#options.intervalMs);
      return event;
    });
  }

  /** Report an impression once half of `element` was on screen for a second. Returns a function that stops. */
  observe(element, { item_id, request_id, position }) {
    this.#quietly(() => {
      this.unobserve(element);
      this.#observer ??= new IntersectionObserver((entries) => this.#quietly(() => this.#look(entries)), {
        threshold: [0, 0.25, this.#options.visibleShare, 0.75, 1],
      });
      this.#watched.set(element, { fields: { item_id, request_id, position }, timer: null, isVisible: false });
      this.#observer.observe(element);
    });
    return () => this.unobserve(element);
  }

  unobserve(element) {
    const watch = this.#watched.get(element);
    if (!watch) return;
    clearTimeout(watch.timer);
    this.#watched.delete(element);
    this.#observer?.unobserve(element);
  }

  /** Send what waits now; resolves when the server answered (or could not). */
  async flush() {
    await this.#send(true);
  }

  /** Stop listening; what waits stays in storage for the next visit. */
  close() {
    this.#quietly(() => {
      for (const element of [...this.#watched.keys()]) this.unobserve(element);
      this.#observer?.disconnect();
      clearTimeout(this.#timer);
      this.#save();
      this.#abort.abort();
    });
  }

  // -- sending -----------------------------------------------------------------------------------------

  async #send(isUrgent) {
    const wait = this.#wait.until - Date.now();
    // Somebody's click is worth another try while we back off, but never against the server's word.
    if (wait > 0 && (this.#wait.isOrdered || !isUrgent)) return this.#wake(wait);
    if (this.#senders >= (isUrgent ? 2 : 1)) return undefined; // the one at work takes what is there
    this.#senders++;
    try {
      for (let batch = this.#take(); batch.length; batch = this.#take()) {
        const waitMs = await this.#post(batch);
        for (const event of batch) this.#inFlight.delete(event.event_id);
        if (waitMs != null) {
          this.#save();
          this.#wake(waitMs);
          return undefined;
        }
        this.#failures = 0;
        this.#wait = { until: 0, isOrdered: false };
        this.#saveSoon();
      }
    } catch (error) {
      this.#complain("send", error);
      this.#inFlight.clear();
      this.#wake(this.#backOff());
    } finally {
      this.#senders--;
    }
    return undefined;
  }

  /** The oldest events of one user, as many as fit into a request. */
  #take() {
    const batch = [];
    let bytes = 0;
    for (const event of this.#queue) {
      if (this.#inFlight.has(event.event_id)) continue;
      if (batch.length && event.user_id !== batch[0].user_id) continue;
      bytes += encoder.encode(JSON.stringify(event)).length + 1;
      if (batch.length && (bytes > MAX_BYTES || batch.length >= this.#most)) break;
      batch.push(event);
      this.#inFlight.add(event.event_id);
    }
    return batch;
  }

  /** Send one batch and settle what the server said. Returns ms to wait before going on, or null. */
  async #post(batch) {
    const user = batch[0].user_id;
    let response = await this.#request(batch, this.#tokens.get(user) ?? (await this.#authorize(user, false)));
    if (response?.status === 401) response = await this.#request(batch, await this.#authorize(user, true));
    if (!response) return this.#backOff();
    if (response.ok || response.status === 400 || response.status === 422) {
      await this.#settle(batch, response);
      return null;
    }
    if (response.status === 413 && batch.length > 1) {
      this.#most = Math.ceil(batch.length / 2);
      return null;
    }
    if (response.status >= 500 || [401, 404, 408, 425, 429].includes(response.status)) {
      const orderedMs = retryAfterMs(response);
      return orderedMs == null ? this.#backOff() : this.#pause(orderedMs, true);
    }
    this.#complain(`status ${response.status}`, `${batch.length} events dropped: the server said ${response.status}`);
    this.#drop(batch, "dropped", `HTTP ${response.status}`);
    return null;
  }

  async #request(batch, token) {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const body = encoder.encode(JSON.stringify(batch));
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), this.#options.timeoutMs);
    try {
      return await fetch(`${this.#options.url}/events`, {
        method: "POST",
        headers,
        body,
        keepalive: body.length < MAX_BYTES,
        credentials: "omit",
        cache: "no-store",
        signal: timeout.signal,
      });
    } catch {
      return null; // offline, refused, cut or too slow: all the same to us
    } finally {
      clearTimeout(timer);
    }
  }

  async #authorize(user, isRefresh) {
    const { token } = this.#options;
    try {
      const value = typeof token === "function" ? await token(user, { isRefresh }) : token;
      if (value) this.#tokens.set(user, value);
      return value ?? null;
    } catch (error) {
      this.#complain("token", error);
      return null;
    }
  }

  async #settle(batch, response) {
    const said = await response.json().catch(() => null);
    const refused = new Map((Array.isArray(said?.refused) ? said.refused : []).map((one) => [one.index, one]));
    const isAllBad = !response.ok && refused.size === 0;
    const good = [];
    batch.forEach((event, index) => {
      const why = refused.get(index) ?? (isAllBad ? { field: "", error: said?.detail ?? `HTTP ${response.status}` } : null);
      if (!why) return good.push(event);
      // A clock that runs ahead is no reason to lose events: once more, with the server's time.
      if (why.field === "ts" && event.ts && !this.#retimed.has(event.event_id)) {
        this.#retimed.add(event.event_id);
        delete event.ts;
        return undefined;
      }
      this.#complain(`${why.field}: ${why.error}`, `event refused: ${why.field} ${why.error}`);
      return this.#drop([event], "refused", `${why.field} ${why.error}`.trim());
    });
    this.#drop(good, "sent");
  }

  #drop(events, state, detail) {
    const gone = new Set(events);
    this.#queue = this.#queue.filter((event) => !gone.has(event));
    for (const event of events) this.#tell(event, state, detail);
  }

  #backOff() {
    const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
    return this.#pause(ms * (0.5 + Math.random() / 2), false);
  }

  #pause(ms, isOrdered) {
    this.#wait = { until: Date.now() + ms, isOrdered };
    return ms;
  }

  /** Make sure that sending starts within `ms`. */
  #wake(ms) {
    const at = Date.now() + ms;
    if (this.#timer && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#timerAt = Infinity;
      this.#send(false);
    }, ms);
  }

  // -- keeping -----------------------------------------------------------------------------------------

  /** Take over what earlier pages of this browser could not send. */
  #adopt() {
    for (const key of storage.keys("queue.")) {
      const left = storage.get(key);
      storage.remove(key);
      if (Array.isArray(left)) this.#queue.push(...left.filter((event) => event?.event_id && event.user_id));
    }
    if (!this.#queue.length) return;
    this.#bound();
    this.#save();
    this.#wake(0);
  }

  #bound() {
    while (this.#queue.length > this.#options.maxQueue) {
      const isIdle = (event) => !this.#inFlight.has(event.event_id);
      let index = this.#queue.findIndex((event) => event.type === "impression" && isIdle(event));
      if (index < 0) index = this.#queue.findIndex(isIdle);
      if (index < 0) return;
      const [gone] = this.#queue.splice(index, 1);
      this.#complain("full", `more than ${this.#options.maxQueue} events wait; the oldest are dropped`);
      this.#tell(gone, "dropped", "queue full");
    }
  }

  #save() {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = null;
    if (this.#queue.length) storage.set(this.#queueKey, this.#queue);
    else storage.remove(this.#queueKey);
  }

  #saveSoon() {
    this.#saveTimer ??= setTimeout(() => this.#quietly(() => this.#save()), 250);
  }

  #session(now) {
    const known = storage.get("session");
    const isSame = known?.user === this.#options.userId && now - known.last < this.#options.sessionGapMs;
    const session = { id: isSame ? known.id : uuid(), user: this.#options.userId, last: now };
    storage.set("session", session);
    return session.id;
  }

  // -- seeing ------------------------------------------------------------------------------------------

  #look(entries) {
    for (const { target, isIntersecting, intersectionRatio, intersectionRect, rootBounds } of entries) {
      const watch = this.#watched.get(target);
      if (!watch) continue;
      // Something taller than the screen can never show half of itself: filling half the screen counts.
      const fills = rootBounds ? intersectionRect.height / rootBounds.height : 0;
      const share = this.#options.visibleShare;
      watch.isVisible = isIntersecting && (intersectionRatio >= share || fills >= share);
      this.#judge(target, watch);
    }
    // Pages redraw and forget: what has left the document is ours to let go. (Not in observe: there an
    // element may be about to be attached.)
    if (this.#watched.size < MANY_WATCHED) return;
    for (const element of [...this.#watched.keys()]) if (!element.isConnected) this.unobserve(element);
  }

  #judge(element, watch) {
    const isOn = watch.isVisible && document.visibilityState === "visible";
    if (!isOn) {
      clearTimeout(watch.timer);
      watch.timer = null;
      return;
    }
    watch.timer ??= setTimeout(() => this.#quietly(() => this.#impression(element, watch)), this.#options.visibleMs);
  }

  #impression(element, { fields }) {
    this.unobserve(element);
    const { item_id, request_id, position } = fields;
    const key = JSON.stringify([this.#options.userId, request_id, item_id]);
    if (this.#seen.has(key)) return;
    if (this.#seen.size >= MAX_SEEN) this.#seen.delete(this.#seen.values().next().value);
    this.#seen.add(key);
    this.track("impression", item_id, { request_id, position });
  }

  // -- the page ----------------------------------------------------------------------------------------

  #listen() {
    const options = { signal: this.#abort.signal };
    const on = (target, name, act) => target.addEventListener(name, () => this.#quietly(act), options);
    on(globalThis, "pagehide", () => this.#leave());
    on(globalThis, "online", () => {
      if (!this.#wait.isOrdered) this.#wait.until = 0;
      this.#send(false);
    });
    on(document, "visibilitychange", () => {
      for (const [element, watch] of this.#watched) this.#judge(element, watch);
      if (document.visibilityState === "hidden") this.#leave();
    });
  }

  #leave() {
    this.#save();
    if (this.#options.token !== null || typeof navigator.sendBeacon !== "function") {
      this.#send(true); // with a token that is known already it goes out before this line ends
      return;
    }
    if (this.#wait.isOrdered && this.#wait.until > Date.now()) return;
    for (let batch = this.#take(); batch.length; batch = this.#take()) {
      const body = new Blob([JSON.stringify(batch)], { type: "application/json" });
      const isTaken = navigator.sendBeacon(`${this.#options.url}/events`, body);
      for (const event of batch) this.#inFlight.delete(event.event_id);
      if (!isTaken) break;
      this.#drop(batch, "sent");
    }
    this.#save();
  }

  #tell(event, state, detail) {
    this.#quietly(() => this.#options.onEvent?.(event, state, detail));
  }

  #complain(key, problem) {
    if (this.#complaints.has(key) || this.#complaints.size > 100) return;
    this.#complaints.add(key);
    console.warn("shortlist tracker:", problem);
  }

  #quietly(act) {
    try {
      return act();
    } catch (error) {
      this.#complain(`error ${error?.message}`, error);
      return null;
    }
  }
}

globalThis.Shortlist = { ...globalThis.Shortlist, Tracker };
