"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const places = (element) => (element.dataset.v || "").split(" ").filter(Boolean);

  // timeline: widening the drawing is zooming, since every mark stands at a percentage
  const box = document.getElementById("tl-scroll");
  const time = document.getElementById("tl");
  let zoom = 1;
  const buttons = all("[data-zoom]");
  const setZoom = (wanted, at) => {
    const next = Math.min(64, Math.max(1, wanted));
    const centre = at === undefined ? box.clientWidth / 2 : at;
    const share = (box.scrollLeft + centre) / box.scrollWidth;
    zoom = next;
    time.style.width = 100 * zoom + "%";
    time.style.minWidth = zoom > 1 ? 640 * zoom + "px" : "";
    time.classList.toggle("wide", zoom >= 4 && zoom < 16);
    time.classList.toggle("widest", zoom >= 16);
    box.scrollLeft = share * box.scrollWidth - centre;
    for (const button of buttons) {
      button.disabled = (button.dataset.zoom === "in" && zoom >= 64) || (button.dataset.zoom !== "in" && zoom <= 1);
    }
  };
  if (box && time) {
    all(".zoom").forEach((element) => { element.hidden = false; });
    buttons.forEach((button) => button.addEventListener("click", () => {
      setZoom(button.dataset.zoom === "fit" ? 1 : button.dataset.zoom === "in" ? zoom * 2 : zoom / 2);
    }));
    box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      setZoom(event.deltaY < 0 ? zoom * 1.25 : zoom / 1.25, event.clientX - box.getBoundingClientRect().left);
    }, { passive: false });
    setZoom(1);
  }

  // the same verdict, wherever it is drawn
  const linked = new Map();
  all("[data-v]").forEach((element) => places(element).forEach((place) => {
    if (!linked.has(place)) linked.set(place, []);
    linked.get(place).push(element);
  }));
  const graph = document.querySelector(".graph");
  const nodes = all(".node");
  const edges = all(".edge");
  const picked = document.getElementById("picked");
  let pinned = null;
  let lit = [];
  const clear = () => {
    lit.forEach((element) => element.classList.remove("on"));
    lit = [];
    if (graph) graph.classList.remove("focus");
  };
  const light = (element) => { element.classList.add("on"); lit.push(element); };
  const showPlaces = (wanted, except) => {
    wanted.forEach((place) => (linked.get(place) || []).forEach((element) => {
      if (element !== except) light(element);
    }));
    if (graph && wanted.some((place) => (linked.get(place) || []).some((e) => graph.contains(e)))) graph.classList.add("focus");
  };
  const showNode = (node) => {
    clear();
    light(node);
    const near = new Set([node.dataset.n]);
    for (const edge of edges) {
      if (edge.dataset.a === node.dataset.n || edge.dataset.b === node.dataset.n) {
        light(edge);
        near.add(edge.dataset.a).add(edge.dataset.b);
      }
    }
    nodes.filter((other) => near.has(other.dataset.n)).forEach(light);
    places(node).forEach((place) => (linked.get(place) || []).forEach((e) => { if (!graph.contains(e)) light(e); }));
    graph.classList.add("focus");
  };
  const rest = () => { if (pinned) showNode(pinned); else clear(); };
  const pin = (node) => {
    if (pinned) pinned.setAttribute("aria-pressed", "false");
    pinned = pinned === node ? null : node;
    picked.textContent = "";
    if (pinned) {
      pinned.setAttribute("aria-pressed", "true");
      picked.append(pinned.getAttribute("aria-label") + " ");
      const target = pinned.dataset.href;
      if (/^#[vp]\d+$/.test(target) && document.getElementById(target.slice(1))) {
        const link = document.createElement("a");
        link.href = target;
        link.textContent = target[1] === "v" ? "Go to its verdict" : "Go to the process";
        picked.append(link);
      }
    }
    rest();
  };
  nodes.forEach((node) => {
    node.addEventListener("mouseenter", () => showNode(node));
    node.addEventListener("mouseleave", rest);
    node.addEventListener("focus", () => showNode(node));
    node.addEventListener("blur", rest);
    node.addEventListener("click", () => pin(node));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(node); }
      if (event.key === "Escape" && pinned) pin(pinned);
    });
  });
  all(".card, a.mark, .tree li[data-v]").forEach((element) => {
    const wanted = places(element);
    if (!wanted.length) return;
    const enter = () => { clear(); showPlaces(wanted, element); };
    element.addEventListener("mouseenter", enter);
    element.addEventListener("mouseleave", rest);
    element.addEventListener("focusin", enter);
    element.addEventListener("focusout", rest);
  });
})();
