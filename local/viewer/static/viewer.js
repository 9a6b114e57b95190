// Renders the custom widgets of a dashboard as CloudWatch's console does. The server has cleaned all HTML that is here.
// Facts: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_interactivity.html
"use strict";

const element = (name) => document.getElementById(`viewer-${name}`);
// Found once, before any widget is on the page: an id in a widget cannot take their place.
const [title, state, dashboard, refresh, theme] = ["title", "state", "dashboard", "refresh", "theme"].map(element);
const [confirmation, question, cancel, confirm] = ["confirmation", "question", "cancel", "confirm"].map(element);
const [popup, popupContent, close] = ["popup", "popup-content", "close"].map(element);
const columns = 24;
const rowHeight = 50;
const day = 86400000;
let account = "";

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

// Any form of the widget: all fields with a name, as CloudWatch sends them.
function formFields(content) {
  const fields = {};
  for (const field of content.querySelectorAll("input[name], select[name], textarea[name]")) {
    if ((field.type === "radio" || field.type === "checkbox") && !field.checked) continue;
    fields[field.name] = field.multiple ? [...field.selectedOptions].map((option) => option.value) : field.value;
  }
  return fields;
}

function widgetContext(widget, source) {
  const end = Date.now();
  return {
    dashboardName: widget.dashboard,
    widgetId: widget.id,
    accountId: account,
    locale: "en",
    timezone: { label: "UTC", offsetISO: "+00:00", offsetInMinutes: 0 },
    period: 300,
    isAutoPeriod: true,
    timeRange: { mode: "relative", start: end - day, end, relativeStart: day },
    theme: isDark() ? "dark" : "light",
    linkCharts: true,
    title: widget.title,
    forms: { all: { ...formFields(widget.content), ...formFields(source) } },
    params: widget.params,
    width: Math.round(widget.content.clientWidth),
    height: Math.round(widget.content.clientHeight),
  };
}

async function call(widget, endpoint, params, source) {
  state.textContent = "Calling the function ...";
  widget.content.setAttribute("aria-busy", "true");
  try {
    const asked = { endpoint, params, widgetContext: widgetContext(widget, source) };
    const answer = await fetch("/call", { method: "POST", body: JSON.stringify(asked) });
    return answer.ok ? await answer.json() : { error: await answer.text() };
  } catch (error) {
    return { error: `The viewer does not answer: ${error.message}` };
  } finally {
    widget.content.removeAttribute("aria-busy");
    state.textContent = "";
  }
}

function nodesOf(answer) {
  const made = document.createElement("template");
  if (answer.html !== undefined) {
    made.innerHTML = answer.html;
  } else {
    const text = document.createElement("pre");
    text.className = answer.error === undefined ? "widget-answer" : "widget-error";
    text.tabIndex = 0;
    if (answer.error !== undefined) text.setAttribute("role", "alert");
    text.textContent = answer.error ?? answer.text;
    made.content.append(text);
  }
  return made.content;
}

function show(widget, display, nodes) {
  const place = display === "popup" ? popupContent : widget.content;
  place.replaceChildren(nodes);
  wire(widget, place);
  if (display === "popup") {
    if (!popup.open) popup.showModal();
  } else {
    popup.close();
    widget.content.focus();
  }
}

function confirmed(message) {
  question.textContent = message;
  return new Promise((resolve) => {
    const answer = (yes) => {
      resolve(yes);
      confirmation.close();
    };
    confirm.onclick = () => answer(true);
    cancel.onclick = () => answer(false);
    confirmation.onclose = () => resolve(false); // by Escape; an answer that was given stays
    confirmation.showModal();
  });
}

async function act(widget, action, place) {
  const message = action.getAttribute("confirmation");
  if (message && !(await confirmed(message))) return;
  const display = action.getAttribute("display") || "widget";
  if ((action.getAttribute("action") || "html") === "html") {
    const nodes = document.createDocumentFragment();
    nodes.append(...[...action.childNodes].map((node) => node.cloneNode(true)));
    show(widget, display, nodes);
    return;
  }
  let params = {};
  const written = action.textContent.trim();
  try {
    params = written ? JSON.parse(written) : {};
  } catch (error) {
    show(widget, "popup", nodesOf({ error: `The params of the action are not JSON: ${error.message}` }));
    return;
  }
  show(widget, display, nodesOf(await call(widget, action.getAttribute("endpoint") || "", params, place)));
}

// An action is about the element just before it. One inside another waits until that is shown.
function wire(widget, place) {
  for (const action of place.querySelectorAll("cwdb-action")) {
    const target = action.previousElementSibling;
    if (!target || action.parentElement.closest("cwdb-action")) continue;
    target.addEventListener(action.getAttribute("event") || "click", (event) => {
      event.preventDefault();
      act(widget, action, place);
    });
  }
  for (const form of place.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());
}

async function draw(widget) {
  const nodes = nodesOf(await call(widget, widget.endpoint, widget.params, widget.content));
  widget.content.replaceChildren(nodes);
  wire(widget, widget.content);
}

function box(found, number, name) {
  const properties = found.properties || {};
  const section = document.createElement("section");
  const content = document.createElement("div");
  const widget = {
    content, dashboard: name, id: `widget-${number + 1}`, title: properties.title || "",
    endpoint: properties.endpoint, params: properties.params || {},
  };
  section.className = "widget";
  section.setAttribute("aria-label", widget.title || `${found.type} widget`);
  section.style.gridColumn = `${(found.x || 0) + 1} / span ${Math.min(found.width || 6, columns)}`;
  section.style.minHeight = `${(found.height || 6) * rowHeight}px`;
  if (widget.title) {
    const heading = document.createElement("p");
    heading.className = "widget-title";
    heading.textContent = widget.title;
    section.append(heading);
  }
  content.className = "widget-content";
  content.tabIndex = -1;
  section.append(content);
  dashboard.append(section);
  return widget;
}

function notDrawn(others) {
  if (!others.length) return;
  const line = document.createElement("p");
  line.className = "viewer-others";
  const names = others.map((widget) => `${widget.properties?.title || "untitled"} (${widget.type})`);
  line.textContent = `CloudWatch's own widgets are not drawn here: ${names.join(", ")}.`;
  dashboard.append(line);
}

async function drawAll() {
  const found = await (await fetch("/dashboard")).json();
  dashboard.replaceChildren();
  if (found.error) {
    dashboard.append(nodesOf(found));
    return;
  }
  account = found.account;
  title.textContent = found.name;
  document.title = found.name;
  const widgets = found.widgets.map((widget, number) => [widget, number]);
  const custom = widgets.filter(([widget]) => widget.type === "custom");
  await Promise.all(custom.map(([widget, number]) => draw(box(widget, number, found.name))));
  notDrawn(found.widgets.filter((widget) => widget.type !== "custom"));
}

// Says on the page how often all of it has been drawn, for whoever waits for that.
async function open() {
  await drawAll();
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn || 0) + 1);
}

function paint(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", String(dark));
}

close.addEventListener("click", () => popup.close());
refresh.addEventListener("click", open);
theme.addEventListener("click", () => {
  paint(!isDark());
  open();
});
paint(new URLSearchParams(location.search).get("theme") === "dark");
open();
