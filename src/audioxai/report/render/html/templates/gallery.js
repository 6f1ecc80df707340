"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const stored = element("gallery-data");
  if (!stored) return;
  const { clips, palettes } = JSON.parse(stored.textContent);
  const pictures = new Pictures(palettes);
  const panels = [0, 1].map((side) => element(`panel-${side}`));
  const NONE = -1;
  const DECODED_RATE_HZ = 44100;
  const state = { clip: 0, methods: [0, NONE], sound: "original", opacity: 0.85 };

  const clip = () => clips[state.clip];
  const shown = () => state.methods.filter((method) => method !== NONE);

  // The place in the sound -------------------------------------------------------------------------------------------

  // Share of a map's width at a time: cells stand around the times of their columns.
  const share = (seconds) => {
    const { first, step } = clip().columns;
    return ((seconds - first) / step + 0.5) / clip().shape[1];
  };
  const seconds = (share) => {
    const { first, step } = clip().columns;
    return (share * clip().shape[1] - 0.5) * step + first;
  };
  const transport = new Transport(panels.map((panel) => ({ plot: panel.querySelector(".plot"), share, seconds })));

  // Sounds -----------------------------------------------------------------------------------------------------------

  // Name → what it is called, its data and what is to be known of it. Kept and removed come for every map in sight.
  const sounds = () => {
    const found = new Map();
    if (!clip().original) return found;
    found.set("original", { label: "Original", data: clip().original, note: "" });
    const several = shown().length > 1;
    for (const [side, index] of state.methods.entries()) {
      if (index === NONE) continue;
      const { name, kept, removed, soundNote } = clip().methods[index];
      const by = several ? ` by ${name}` : "";
      if (kept) found.set(`kept-${side}`, { label: `Kept${by}`, data: kept, note: soundNote });
      if (removed) found.set(`removed-${side}`, { label: `Removed${by}`, data: removed, note: soundNote });
    }
    return found;
  };

  const decoded = new Map(); // every sound is read once
  const useSound = async () => {
    const chosen = sounds().get(state.sound);
    element("player").hidden = !chosen;
    if (!chosen) {
      transport.player.pause();
      return;
    }
    if (!decoded.has(chosen.data)) decoded.set(chosen.data, decode(chosen.data, DECODED_RATE_HZ));
    const buffer = await decoded.get(chosen.data);
    if (sounds().get(state.sound)?.data !== chosen.data) return;
    transport.use(buffer, chosen.label);
    element("sound-note").textContent = chosen.note;
  };

  const offerSounds = () => {
    const offered = sounds();
    if (!offered.has(state.sound)) state.sound = "original";
    const choices = [...offered].map(([name, { label }]) => [name, label]);
    offer(element("sounds"), "sound", choices, state.sound, (name) => {
      state.sound = name;
      useSound();
    });
  };

  // Maps -------------------------------------------------------------------------------------------------------------

  const drawPanel = (panel) => {
    if (!panel.hidden) pictures.draw(panel.querySelector("canvas"), panel.levels, panel.map, { opacity: state.opacity });
  };

  const colour = (panel, side) => {
    panel.levels = pictures.levels(clip());
    panel.map = pictures.map(clip(), clip().methods[state.methods[side]].map);
  };

  const showPanel = (side) => {
    const panel = panels[side];
    const method = clip().methods[state.methods[side]];
    panel.hidden = !method;
    if (!method) return;
    panel.classList.toggle("image", !clip().original);
    panel.querySelector(".name").textContent = method.name;
    panel.querySelector(".notes").textContent = method.note;
    const told = `Map of ${method.name} on ${clip().title}${method.note && `; ${method.note}`}`;
    panel.querySelector("canvas").setAttribute("aria-label", told);
    colour(panel, side);
    showAxes(panel, clip());
    drawPanel(panel);
  };

  const showScales = () => {
    pictures.scale(element("map-scale"), "map");
    pictures.scale(element("level-scale"), "levels");
  };

  // What is chosen ---------------------------------------------------------------------------------------------------

  const fill = (select, options, chosen) => {
    select.replaceChildren(...options.map(([value, label]) => new Option(label, value, false, value === chosen)));
  };

  // Methods stay chosen from clip to clip where all of them are there.
  const choose = (position, names = shown().map((index) => clip().methods[index].name)) => {
    state.clip = position;
    const found = names.map((name) => clip().methods.findIndex((method) => method.name === name));
    const [first, second] = found.includes(NONE) ? clip().opening : found;
    state.methods = [first ?? 0, second ?? NONE];
    const options = clip().methods.map(({ name }, index) => [index, name]);
    fill(element("method-0"), options, state.methods[0]);
    fill(element("method-1"), [[NONE, "nothing"], ...options], state.methods[1]);
    showLevelScale(clip().valueRange, clip().valueUnit);
    showAll();
  };

  const showAll = () => {
    document.querySelector(".panels").classList.toggle("one", shown().length === 1);
    offerSounds();
    panels.forEach((_, side) => showPanel(side));
    useSound();
  };

  const fillClips = () => {
    const groups = new Map();
    clips.forEach(({ title, group }, index) => {
      if (!groups.has(group)) {
        groups.set(group, Object.assign(document.createElement("optgroup"), { label: group }));
      }
      groups.get(group).append(new Option(title, index));
    });
    element("clip").replaceChildren(...groups.values());
  };

  const redraw = () => {
    panels.forEach(drawPanel);
    if (clip().original) transport.drawWave();
  };

  element("clip").addEventListener("change", (event) => choose(Number(event.target.value)));
  for (const side of [0, 1]) {
    element(`method-${side}`).addEventListener("change", (event) => {
      state.methods[side] = Number(event.target.value);
      showAll();
    });
  }
  element("opacity").addEventListener("input", (event) => {
    state.opacity = event.target.value / 100;
    element("opacity-value").textContent = `${event.target.value} %`;
    panels.forEach(drawPanel);
  });
  document.addEventListener("colours", () => {
    for (const [side, panel] of panels.entries()) if (!panel.hidden) colour(panel, side);
    showScales();
    redraw();
  });
  new ResizeObserver(redraw).observe(element("gallery-app"));

  element("gallery-app").hidden = false;
  showScales();
  fillClips();
  choose(0, clip().opening.map((index) => clip().methods[index].name));
})();
