"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const stored = element("gallery-data");
  if (!stored) return;
  const { clips, palettes: packedPalettes } = JSON.parse(stored.textContent);
  const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const palettes = Object.fromEntries(Object.entries(packedPalettes).map(([name, text]) => [name, bytesOf(text)]));
  const isDark = () => {
    const { theme } = document.documentElement.dataset;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const levelPalette = () => (isDark() ? palettes.darkLevels : palettes.levels);
  const panels = [0, 1].map((side) => element(`panel-${side}`));
  const NONE = -1;
  const state = { clip: 0, methods: [0, NONE], sound: "original", opacity: 0.85 };
  const player = new Player(() => showPlace());
  const decoded = new Map();

  const clip = () => clips[state.clip];
  const shown = () => state.methods.filter((method) => method !== NONE);

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

  const decode = (data) => {
    if (!decoded.has(data)) {
      const decoder = new OfflineAudioContext(1, 1, 44100);
      decoded.set(data, decoder.decodeAudioData(bytesOf(data).buffer));
    }
    return decoded.get(data);
  };

  const useSound = async () => {
    const chosen = sounds().get(state.sound);
    element("player").hidden = !chosen;
    if (!chosen) {
      player.pause();
      return;
    }
    const buffer = await decode(chosen.data);
    if (sounds().get(state.sound)?.data !== chosen.data) return;
    player.use(buffer);
    element("sound-note").textContent = chosen.note;
    drawWave(buffer);
  };

  const offerSounds = () => {
    const offered = sounds();
    if (!offered.has(state.sound)) state.sound = "original";
    const fieldset = element("sounds");
    fieldset.querySelectorAll("label").forEach((label) => label.remove());
    for (const [name, { label }] of offered) {
      const choice = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "sound", value: name });
      input.checked = name === state.sound;
      input.addEventListener("change", () => {
        state.sound = name;
        useSound();
      });
      choice.append(input, Object.assign(document.createElement("span"), { textContent: label }));
      fieldset.append(choice);
    }
  };

  // Drawing ----------------------------------------------------------------------------------------------------------

  const picture = ([rows, columns], pixel, upwards) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    for (let row = 0; row < rows; row++) {
      const line = upwards ? rows - 1 - row : row;
      for (let column = 0; column < columns; column++) {
        image.data.set(pixel(row * columns + column), 4 * (line * columns + column));
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  };

  const levelPicture = ({ shape, levels, upwards }) => {
    const values = bytesOf(levels);
    const palette = levelPalette();
    return picture(shape, (cell) => [...palette.subarray(3 * values[cell], 3 * values[cell] + 3), 255], upwards);
  };

  // Red and blue as in the figures, transparent towards zero.
  const mapPicture = ({ shape, upwards }, { map }) => {
    const values = new Int8Array(bytesOf(map).buffer);
    return picture(
      shape,
      (cell) => {
        const share = values[cell] / 127;
        const colour = Math.round(127.5 * (share + 1));
        return [...palettes.map.subarray(3 * colour, 3 * colour + 3), Math.round(255 * Math.sqrt(Math.abs(share)))];
      },
      upwards,
    );
  };

  const sized = (canvas) => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    return canvas.getContext("2d");
  };

  const drawPanel = (panel) => {
    if (panel.hidden) return;
    const canvas = panel.querySelector("canvas");
    const context = sized(canvas);
    context.imageSmoothingEnabled = false;
    context.drawImage(panel.levels, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = state.opacity;
    context.drawImage(panel.map, 0, 0, canvas.width, canvas.height);
  };

  // Largest and smallest sample of every column of pixels.
  const drawWave = (buffer) => {
    const canvas = element("wave");
    const context = sized(canvas);
    const samples = buffer.getChannelData(0);
    const middle = canvas.height / 2;
    context.fillStyle = getComputedStyle(element("play")).backgroundColor;
    for (let x = 0; x < canvas.width; x++) {
      const from = Math.floor((x * samples.length) / canvas.width);
      const to = Math.max(from + 1, Math.floor(((x + 1) * samples.length) / canvas.width));
      let low = 0;
      let high = 0;
      for (let sample = from; sample < to; sample++) {
        low = Math.min(low, samples[sample]);
        high = Math.max(high, samples[sample]);
      }
      context.fillRect(x, middle * (1 - high), 1, Math.max(1, middle * (high - low)));
    }
    canvas.setAttribute("aria-label", `Waveform of ${sounds().get(state.sound)?.label ?? "the sound"}`);
  };

  const showAxis = (box, axis, place) => {
    box.querySelector(".axis-name").textContent = axis.unit ? `${axis.name} (${axis.unit})` : axis.name;
    box.querySelector(".ticks").replaceChildren(
      ...axis.ticks.map(([share, label]) => {
        const tick = Object.assign(document.createElement("span"), { textContent: label });
        place(tick, share);
        return tick;
      }),
    );
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
    panel.levels = levelPicture(clip());
    panel.map = mapPicture(clip(), method);
    showAxis(panel.querySelector(".row-axis"), clip().rows, (tick, share) => {
      tick.style.top = `${100 * (clip().upwards ? 1 - share : share)}%`;
    });
    showAxis(panel.querySelector(".column-axis"), clip().columns, (tick, share) => {
      tick.style.left = `${100 * share}%`;
    });
    drawPanel(panel);
  };

  const showScale = (canvas, palette) => {
    const context = canvas.getContext("2d");
    for (let step = 0; step < 256; step++) {
      context.fillStyle = `rgb(${palette.subarray(3 * step, 3 * step + 3).join(" ")})`;
      context.fillRect(step, 0, 1, 1);
    }
  };

  const showLevels = () => {
    const [low, high] = clip().valueRange;
    const told = (value) => `${value}`.replace("-", "−");
    element("level-low").textContent = told(low);
    element("level-high").textContent = `${told(high)} ${clip().valueUnit}`;
  };

  // The place in the sound -------------------------------------------------------------------------------------------

  // Share of a map's width at a time: cells stand around the times of their columns.
  const shareOf = (seconds) => {
    const { first, step } = clip().columns;
    return ((seconds - first) / step + 0.5) / clip().shape[1];
  };
  const secondsAt = (share) => {
    const { first, step } = clip().columns;
    return (share * clip().shape[1] - 0.5) * step + first;
  };

  const move = (plot, share) => {
    plot.querySelector(".playhead").style.left = `${100 * Math.max(0, Math.min(1, share))}%`;
  };

  const showPlace = () => {
    const { place, duration, isPlaying } = player;
    const share = duration ? place / duration : 0;
    element("play").textContent = isPlaying ? "Pause" : "Play";
    const slider = element("position");
    slider.value = share;
    slider.setAttribute("aria-valuetext", `${place.toFixed(2)} of ${duration.toFixed(2)} seconds`);
    element("time").textContent = `${place.toFixed(2)} / ${duration.toFixed(2)} s`;
    move(element("wave").parentElement, share);
    for (const panel of panels) move(panel.querySelector(".plot"), shareOf(place));
    if (isPlaying) requestFrame();
  };

  let frame = 0;
  const requestFrame = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(showPlace);
  };

  const seekOnClick = (plot, seconds) => {
    plot.addEventListener("pointerdown", (event) => {
      if (!clip().original || event.button !== 0) return;
      const box = plot.getBoundingClientRect();
      player.seek(seconds((event.clientX - box.left) / box.width));
    });
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
    showLevels();
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
    const sound = sounds().get(state.sound);
    if (sound) decode(sound.data).then(drawWave);
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
  element("play").addEventListener("click", () => (player.isPlaying ? player.pause() : player.play()));
  element("position").addEventListener("input", (event) => player.seek(event.target.value * player.duration));
  element("repeat").addEventListener("change", (event) => player.setRepeat(event.target.checked));
  seekOnClick(element("wave").parentElement, (share) => share * player.duration);
  for (const panel of panels) seekOnClick(panel.querySelector(".plot"), secondsAt);
  document.addEventListener("colours", () => {
    for (const panel of panels) if (!panel.hidden) panel.levels = levelPicture(clip());
    showScale(element("level-scale"), levelPalette());
    redraw();
  });
  new ResizeObserver(redraw).observe(element("gallery-app"));

  element("gallery-app").hidden = false;
  showScale(element("map-scale"), palettes.map);
  showScale(element("level-scale"), levelPalette());
  fillClips();
  choose(0, clip().opening.map((index) => clip().methods[index].name));
})();
