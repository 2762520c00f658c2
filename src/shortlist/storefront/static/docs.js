/** The API reference: draws /docs/openapi.json, and lets one try each route with a development token. */

import { Problem, token } from "./api.js";
import { h, icon, ms, show } from "./dom.js";

const VERBS = ["get", "post", "put", "patch", "delete"];
const MAX_DEPTH = 5;
const FIRST = ["Slates", "Recommendations", "Events", "Users", "Catalog", "Operations"]; // where the document has no order

// Texts that say more than "string", by the names that the API gives them everywhere.
const EXAMPLES = {
  user_id: "ada", item_id: "42", type: "click", currency: "EUR", title: "Ridge Tent", brand: "Halden", category: "Outdoor",
  tier: "fresh", reason: "Because you viewed Trail Runner", reason_code: "viewed", sources: "transitions", request_id: "6a4537c1a8d7a3f86967000000000002",
  version: "2026-11-24.1", slug: "rate-limited", name: "42", history: "41", items: "42", image: "/images/42.svg",
};

let api = null;

// -- schemas -------------------------------------------------------------------------------------------

function resolve(schema) {
  for (let hops = 0; schema?.$ref && hops < 10; hops++) {
    schema = schema.$ref.replace(/^#\//, "").split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  if (schema?.allOf?.length === 1) return { ...resolve(schema.allOf[0]), ...schema, allOf: undefined };
  return schema ?? {};
}

/** The schema without its null, when it is one that may be null. */
function solid(schema) {
  const found = resolve(schema);
  const options = found.oneOf ?? found.anyOf;
  if (!options) return found;
  const real = options.map(resolve).filter((option) => option.type !== "null");
  return real.length === 1 ? { ...real[0], description: found.description ?? real[0].description } : { ...found, oneOf: real };
}

function kind(schema) {
  const found = solid(schema);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.oneOf) return found.oneOf.map(kind).join(" or ");
  const types = [found.type].flat().filter((type) => type && type !== "null");
  const type = types.join(" or ") || (found.properties ? "object" : "any");
  if (type === "array") return `array of ${kind(found.items ?? {})}`;
  const limits = [["minimum", "≥"], ["maximum", "≤"], ["maxLength", "length ≤"]].filter(([name]) => found[name] !== undefined);
  return [found.format ? `${type} (${found.format})` : type, ...limits.map(([name, sign]) => `${sign} ${found[name]}`)].join(", ");
}

/** A value that fits the schema: its own example, else one made of names and types. */
function example(schema, name = "", depth = 0) {
  const found = solid(schema);
  const given = found.example ?? found.examples?.[0] ?? found.default ?? found.const;
  if (given !== undefined && given !== null) return given?.value ?? given;
  if (found.enum) return found.enum[0];
  if (found.oneOf) return example(found.oneOf[0], name, depth);
  const type = [found.type].flat().find((one) => one && one !== "null") ?? (found.properties ? "object" : "string");
  if (depth > MAX_DEPTH) return type === "array" ? [] : type === "object" ? {} : null;
  if (type === "array") return [example(found.items ?? {}, name, depth + 1)]; // its items by the list's name
  if (type === "object") {
    const required = new Set(found.required ?? []);
    const all = Object.entries(found.properties ?? {});
    const chosen = depth && required.size ? all.filter(([key]) => required.has(key)) : all;
    return Object.fromEntries(chosen.slice(0, 14).map(([key, value]) => [key, example(value, key, depth + 1)]));
  }
  if (type === "integer") return /ts$|_ms$/.test(name) ? Date.now() : (found.minimum ?? 1);
  if (type === "number") return 1.5;
  if (type === "boolean") return true;
  return EXAMPLES[name] ?? "string";
}

function bodyOf(operation) {
  const body = resolve(operation.requestBody);
  const [media, content] = Object.entries(body?.content ?? {})[0] ?? [];
  if (!content) return null;
  const given = content.example ?? Object.values(content.examples ?? {})[0]?.value;
  return { media, schema: content.schema ?? {}, example: given ?? example(content.schema ?? {}) };
}

// -- pieces --------------------------------------------------------------------------------------------

/** Prose with `code` in it, as elements. */
const prose = (text) => String(text ?? "").split(/`([^`]+)`/).map((part, index) => (index % 2 ? h("code", {}, part) : part));

/** JSON with its parts coloured, as elements. */
function coloured(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|\b(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)\b/g)) {
    parts.push(text.slice(end, match.index));
    if (match[1]) parts.push(h("span", { class: match[2] ? "key" : "text" }, match[1]), match[2] ?? "");
    else parts.push(h("span", { class: "number" }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function codeBox(title, text, { isJson = false } = {}) {
  const label = h("span", {}, "Copy");
  const copy = h("button", { class: "copy", type: "button", on: { click: async () => {
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(pre);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      label.textContent = "Selected: Ctrl+C";
    }
    setTimeout(() => { label.textContent = "Copy"; }, 1_600);
  } } }, icon("copy"), label);
  const pre = h("pre", { tabindex: "0" }, isJson ? coloured(text) : text);
  return h("div", { class: "code" }, h("header", {}, title, copy), pre);
}

const shell = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

function curl(verb, url, { isSecured, body }) {
  const lines = [`curl ${verb === "get" ? "" : `-X ${verb.toUpperCase()} `}${shell(url)}`];
  if (isSecured) lines.push("-H \"Authorization: Bearer $(shortlist token ada)\"");
  if (body) lines.push(`-H 'Content-Type: ${body.media}'`, `-d ${shell(JSON.stringify(body.example))}`);
  return lines.join(" \\\n  ");
}

const secured = (operation) => (operation.security ?? api.security ?? []).some((one) => Object.keys(one).length);

function fill(path, values) {
  const rest = new Map(Object.entries(values).filter(([, value]) => value.text !== ""));
  const filled = path.replace(/\{([^}:]+)[^}]*\}/g, (_, name) => {
    const value = rest.get(name);
    rest.delete(name);
    return encodeURIComponent(value?.text ?? "");
  });
  const given = [...rest].filter(([, value]) => value.in === "query");
  const query = new URLSearchParams(given.flatMap(([name, { text, isMany }]) => (isMany ? text.split(",") : [text]).map((one) => [name, one.trim()])));
  return query.size ? `${filled}?${query}` : filled;
}

function fields(rows) {
  return h("ul", { class: "fields" }, rows.map(({ name, schema, required, description }) =>
    h("li", {}, h("span", { class: "name" }, name), h("span", { class: "kind" }, kind(schema ?? {})), required ? h("span", { class: "must" }, "required") : null,
      description || solid(schema ?? {}).description ? h("p", {}, prose(description || solid(schema).description)) : null)));
}

function schemaFields(schema) {
  let found = solid(schema);
  if (found.oneOf) found = found.oneOf.map(solid).find((one) => one.properties || one.items) ?? found;
  if ([found.type].flat().includes("array")) found = solid(found.items ?? {});
  const required = new Set(found.required ?? []);
  return Object.entries(found.properties ?? {}).map(([name, value]) => ({ name, schema: value, required: required.has(name), description: value.description }));
}

// -- a route -------------------------------------------------------------------------------------------

function operationBox({ path, verb, operation, id, shared }) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(resolve);
  const body = bodyOf(operation);
  const isSecured = secured(operation);
  const sample = Object.fromEntries(parameters.filter((one) => one.required).map((one) => [one.name, { in: one.in, text: String(example(one.schema ?? {}, one.name)) }]));
  const responses = Object.entries(operation.responses ?? {});
  const good = resolve(responses.find(([status]) => status.startsWith("2"))?.[1] ?? {});
  const goodSchema = good.content?.["application/json"];
  const answer = goodSchema ? (goodSchema.example ?? Object.values(goodSchema.examples ?? {})[0]?.value ?? example(goodSchema.schema ?? {})) : null;
  const bodyRows = body ? schemaFields(body.schema) : [];
  return h("article", { class: "op", id, data: { op: `${verb} ${path}` } },
    h("header", {}, h("span", { class: `verb is-${verb}` }, verb.toUpperCase()), h("h3", {}, path), isSecured ? h("span", { class: "tag" }, "needs a token") : null),
    h("div", { class: "op-grid" },
      h("div", {},
        h("p", { class: "lead" }, prose(operation.summary ?? "")),
        operation.description ? h("p", { class: "said" }, prose(operation.description)) : null,
        parameters.length ? [h("h4", {}, "Parameters"), fields(parameters)] : null,
        bodyRows.length ? [h("h4", {}, "Body"), fields(bodyRows)] : null,
        responses.length ? [h("h4", {}, "Answers"), h("ul", { class: "statuses" }, responses.map(([status, response]) =>
          h("li", {}, h("b", { class: status < 300 ? "is-get" : status < 400 ? "is-post" : "is-delete" }, status), h("span", {}, prose(resolve(response).description)))))] : null),
      h("div", {},
        codeBox("curl", curl(verb, location.origin + fill(path, sample), { isSecured, body })),
        answer !== null && Object.keys(Object(answer)).length ? codeBox("Answer, by its shape", JSON.stringify(answer, null, 2), { isJson: true }) : null,
        tryBox({ path, verb, parameters, body, isSecured }))));
}

function tryBox({ path, verb, parameters, body, isSecured }) {
  const inputs = parameters.filter((one) => one.in === "path" || one.in === "query").map((one) => {
    const value = one.required ? String(example(one.schema ?? {}, one.name)) : "";
    const hint = solid(one.schema ?? {}).default;
    return { one, input: h("input", { name: one.name, value, required: one.required, autocomplete: "off", spellcheck: "false", placeholder: hint == null ? "" : String(hint) }) };
  });
  const user = h("input", { name: "as", value: "ada", autocomplete: "off", spellcheck: "false" });
  const text = body ? h("textarea", { name: "body", spellcheck: "false", "aria-label": "Body" }) : null;
  if (text) text.value = typeof body.example === "string" ? body.example : JSON.stringify(body.example, null, 2);
  const output = h("div", { role: "status", "aria-live": "polite" });
  const form = h("form", { on: { submit: run } },
    inputs.map(({ one, input }) => h("label", {}, one.name, input)),
    text ? h("label", {}, "Body", text) : null,
    isSecured ? h("label", {}, "As user", user, h("small", {}, "A development server makes the token; production has none to give.")) : null,
    h("div", { class: "row" }, h("button", { class: "button is-main is-small", type: "submit" }, "Send"), output));
  const result = h("div", {});

  async function run(event) {
    event.preventDefault();
    show(output, "…");
    const url = fill(path, Object.fromEntries(inputs.map(({ one, input }) => [one.name, { in: one.in, text: input.value, isMany: [solid(one.schema ?? {}).type].flat().includes("array") }])));
    try {
      const headers = {};
      if (isSecured) headers.authorization = `Bearer ${await token(user.value)}`;
      if (text) headers["content-type"] = body.media;
      const started = performance.now();
      const response = await fetch(url, { method: verb.toUpperCase(), headers, body: text?.value, cache: "no-store" });
      const raw = await response.text();
      const took = performance.now() - started;
      if (response.status === 401) token(user.value, { isRefresh: true }).catch(() => null);
      show(output, h("span", { class: "answer" }, h("span", { class: `tag num ${response.ok ? "is-accent" : "is-danger"}` }, String(response.status)), h("span", { class: "tag num" }, ms(took)),
        response.headers.get("retry-after") ? h("span", { class: "tag is-amber" }, `Retry-After ${response.headers.get("retry-after")}`) : null));
      show(result, codeBox(url, pretty(raw), { isJson: true }));
    } catch (error) {
      show(output, h("span", { class: "tag is-danger" }, error instanceof Problem ? `${error.title}. ${error.detail}` : "The server does not answer"));
    }
  }
  return h("details", { class: "try" }, h("summary", {}, icon("next"), "Try it"), form, result);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.length > 20_000 ? `${text.slice(0, 20_000)}\n…` : text || "(no body)";
  }
}

// -- the page ------------------------------------------------------------------------------------------

function operations() {
  const rows = [];
  for (const [path, entry] of Object.entries(api.paths ?? {})) {
    for (const verb of VERBS) {
      const operation = entry[verb];
      if (!operation) continue;
      const id = `${verb}-${path}`.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");
      rows.push({ path, verb, operation, id, tag: operation.tags?.[0] ?? "API", shared: entry.parameters ?? [] });
    }
  }
  return rows;
}

const TRACKER = `import { Tracker } from "${location.origin}/client.js";
const tracker = new Tracker({
  url: "${location.origin}",
  userId: "42",
  token: (user) => fetch("/my-token").then((r) => r.text()),
});
tracker.view("sku-1");
tracker.click("sku-2", { request_id: slate.request_id, position: 3 });
tracker.observe(card, { item_id: "sku-2", request_id: slate.request_id, position: 3 });`;

function draw() {
  const rows = operations();
  const order = [...(api.tags ?? []).map((tag) => tag.name), ...FIRST];
  const names = [...new Set([...order, ...rows.map((row) => row.tag)])].filter((name) => rows.some((row) => row.tag === name));
  const said = Object.fromEntries((api.tags ?? []).map((tag) => [tag.name, tag.description]));
  show(document.querySelector("main"),
    h("section", { class: "intro" }, h("h1", {}, api.info?.title ? `${api.info.title} API` : "API"),
      h("p", {}, prose(api.info?.description || "Recommendations in real time: send what people do, ask what to show them.")),
      h("p", {}, "For machines: ", h("a", { href: "/docs/openapi.json" }, "openapi.json"), api.info?.version ? `, version ${api.info.version}` : "", ".")),
    h("div", { class: "first-call" },
      h("div", {}, codeBox("A first call", `TOKEN=$(shortlist token ada)\ncurl -H "Authorization: Bearer $TOKEN" \\\n  '${location.origin}/recommendations?user_id=ada'`)),
      h("div", {}, codeBox("The tracker, on any website", TRACKER))),
    names.map((name) => h("section", { class: "group" }, h("h2", {}, name), said[name] ? h("p", {}, prose(said[name])) : null,
      rows.filter((row) => row.tag === name).map(operationBox))));
  const links = names.map((name) => [h("h2", {}, name), rows.filter((row) => row.tag === name).map((row) =>
    h("a", { href: `#${row.id}` }, h("small", { class: `is-${row.verb}` }, row.verb.toUpperCase()), row.path))]);
  const isWide = matchMedia("(min-width: 900px)");
  const toc = h("details", { open: isWide.matches }, h("summary", {}, "Routes"), links);
  isWide.addEventListener("change", () => { toc.open = isWide.matches; });
  show(document.querySelector("[data-toc]"), toc);
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const response = await fetch("/docs/openapi.json", { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  api = await response.json();
  draw();
} catch (error) {
  show(document.querySelector("main"), h("p", { class: "notice is-bad", role: "alert" }, icon("alert"), h("span", {}, h("strong", {}, "No reference to show."), ` /docs/openapi.json: ${error.message}`)));
}
