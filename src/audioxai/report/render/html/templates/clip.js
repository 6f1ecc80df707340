"use strict";

// The page of one clip: its maps, its sound filtered by how much is kept, and the windows of a long recording.
(() => {
  const element = (id) => document.getElementById(id);
  const stored = element("clip-data");
  if (!stored) return;
  const { views, timeline, palettes, opened } = JSON.parse(stored.textContent);
  const pictures = new Pictures(palettes);
  const panels = [...document.querySelectorAll("#clip-app .panel")];
  const strip = document.querySelector("#timeline .plot");
  const state = { view: opened, chosen: 0, sound: "original", percent: 20, opacity: 0.85, loud: true };

  const view = () => views[state.view];
  const chosen = () => view().classes[state.chosen];
  const shown = () => panels.slice(0, view().classes.length);
  const titled = ({ name, probability }) => `${name} (${probability})`;
  const durationS = () => view().stft.samples / view().rateHz;

  const plots = panels.map((panel) => ({
    plot: panel.querySelector(".plot"),
    share: (seconds) => seconds / durationS(),
    seconds: (share) => share * durationS(),
  }));
  if (strip) plots.push({ plot: strip, share: (seconds) => (view().startS + seconds) / timeline.recordingS });
  const transport = new Transport(plots);

  // The sound --------------------------------------------------------------------------------------------------------

  const sounds = views.map((one) => new ClipSounds(one));
  const heard = () => sounds[state.view];

  const useSound = newest(async (isStale) => {
    const asked = { ...state };
    const { buffer, told } = await heard().heard(asked);
    if (isStale()) return;
    transport.use(buffer, PARTS[asked.sound].toLowerCase(), LARGEST_PEAK);
    element("sound-note").textContent = toldOf(asked, told);
    await fade();
    await new Promise(requestAnimationFrame);
  });

  // Pictures ---------------------------------------------------------------------------------------------------------

  const colour = (panel, side) => {
    const { shape, levels, upwards, classes } = view();
    const { map, mapShape } = classes[side];
    panel.levels = pictures.levels({ shape, levels, upwards });
    panel.map = pictures.map({ shape: mapShape, upwards }, map);
  };

  const draw = (panel) => {
    if (panel.hidden || !panel.levels) return;
    const canvas = panel.querySelector("canvas");
    const { extent } = view().classes[panels.indexOf(panel)];
    pictures.draw(canvas, panel.levels, panel.map, { opacity: state.opacity, extent, smooth: true });
    if (state.faded) heard().cover(canvas, state.faded);
  };

  const fade = async () => {
    state.faded = await heard().faded(state);
    panels.forEach(draw);
  };

  const showPanel = (panel, side) => {
    const one = view().classes[side];
    panel.hidden = !one;
    if (!one) return;
    panel.querySelector(".name").textContent = titled(one);
    panel.querySelector(".notes").textContent = view().classes.length > 1 ? one.where : "";
    panel.querySelector("canvas").setAttribute("aria-label", `Map of ${one.name} over the spectrogram. ${one.where}`);
    panel.classList.toggle("chosen", side === state.chosen && view().classes.length > 1);
    colour(panel, side);
    showAxes(panel, view());
  };

  // What the model says ----------------------------------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  const between = (curve, share, shares) => {
    const after = Math.max(1, shares.findIndex((one) => one >= share));
    const weight = (share - shares[after - 1]) / (shares[after] - shares[after - 1]);
    return curve[after - 1] + weight * (curve[after] - curve[after - 1]);
  };

  const showCurves = () => {
    const { curves, name } = chosen();
    element("curves").hidden = !curves;
    if (!curves) return;
    const lines = ["removed", "kept_by_loudness", "kept"].map((which) => {
      const points = curves.share.map((share, at) => `${100 * share},${100 - 100 * curves[which][at]}`);
      const line = document.createElementNS(SVG, "polyline");
      line.setAttribute("points", points.join(" "));
      line.setAttribute("class", which);
      return line;
    });
    const plot = element("curves").querySelector(".plot");
    plot.querySelector("svg").replaceChildren(...lines);
    plot.querySelector(".playhead").style.left = `${state.percent}%`;
    const [kept, removed, loudness] = ["kept", "removed", "kept_by_loudness"].map((which) =>
      between(curves[which], state.percent / 100, curves.share).toFixed(2),
    );
    element("said").textContent =
      `Probability of ${name}: ${kept} for the most relevant ${state.percent} % alone, all else silent; ${loudness} for ` +
      `as many bins by loudness; ${removed} for the sound without its most relevant ${state.percent} %.`;
    plot.querySelector("svg").setAttribute("aria-label", element("said").textContent);
  };

  const showShares = () => {
    const ticks = (values) => values.map((value) => [value, `${value}`]);
    const axes = element("curves");
    showAxis(axes.querySelector(".row-axis"), { name: "probability", ticks: ticks([0, 0.5, 1]) }, (tick, share) => {
      tick.style.top = `${100 * (1 - share)}%`;
    });
    const shares = { name: "share of the sound that is kept, or removed (%)", ticks: ticks([0, 25, 50, 75, 100]) };
    showAxis(axes.querySelector(".column-axis"), shares, (tick, share) => {
      tick.style.left = `${share}%`;
    });
  };

  // Over time --------------------------------------------------------------------------------------------------------

  const spans = [...document.querySelectorAll("#answer .view")].map(({ dataset }) => dataset.span);

  const markWindows = () => {
    const marks = views.map(({ startS, classes }, index) => {
      const mark = Object.assign(document.createElement("button"), { type: "button", className: "mark" });
      mark.style.left = `${(100 * startS) / timeline.recordingS}%`;
      mark.style.width = `${(100 * timeline.windowS) / timeline.recordingS}%`;
      mark.setAttribute("aria-label", `Explained window ${spans[index]}: ${titled(classes[0])}`);
      mark.addEventListener("click", (event) => {
        event.stopPropagation();
        choose(index);
      });
      return mark;
    });
    strip.querySelector(".marks").replaceChildren(...marks);
    strip.style.setProperty("--rows", timeline.names.length);
    const options = views.map(({ classes }, index) => new Option(`${spans[index]}: ${titled(classes[0])}`, index));
    element("window").replaceChildren(...options);
    const names = timeline.names.map((name) => Object.assign(document.createElement("bdi"), { textContent: name }));
    document.querySelector("#timeline .names").replaceChildren(...names);
    showAxis(document.querySelector("#timeline .column-axis"), timeline.columns, (tick, share) => {
      tick.style.left = `${100 * share}%`;
    });
  };

  const drawTimeline = () => {
    if (!timeline) return;
    const canvas = strip.querySelector("canvas");
    const context = sized(canvas);
    const [left, right] = timeline.extentS.map((seconds) => (seconds / timeline.recordingS) * canvas.width);
    context.imageSmoothingEnabled = false;
    const levels = pictures.levels(timeline);
    const [columns, rows] = [levels.width, levels.height];
    context.drawImage(levels, left, 0, right - left, canvas.height);
    // What lies before the middle of the first window, or after that of the last one, is theirs.
    context.drawImage(levels, 0, 0, 1, rows, 0, 0, left, canvas.height);
    context.drawImage(levels, columns - 1, 0, 1, rows, right, 0, canvas.width - right, canvas.height);
  };

  // What the model says at a place that may not be explained.
  const tell = (event) => {
    const box = strip.getBoundingClientRect();
    const seconds = ((event.clientX - box.left) / box.width) * timeline.recordingS - timeline.windowS / 2;
    const distances = timeline.starts.map((start) => Math.abs(start - seconds));
    const nearest = distances.indexOf(Math.min(...distances));
    const start = timeline.starts[nearest];
    const [name, probability] = timeline.best[nearest];
    element("timeline-note").textContent =
      `${start.toFixed(2)}–${(start + timeline.windowS).toFixed(2)} s: ${titled({ name, probability })}, not explained here.`;
  };

  const showWindow = () => {
    for (const part of document.querySelectorAll(".view")) part.hidden = Number(part.dataset.view) !== state.view;
    document.querySelector("h1 bdi").textContent = view().classes[0].name;
    if (!timeline) return;
    element("window").value = state.view;
    if (element("clip-span")) element("clip-span").textContent = spans[state.view];
    strip.querySelectorAll(".mark").forEach((mark, index) => mark.setAttribute("aria-pressed", index === state.view));
    element("timeline-note").textContent = `${spans[state.view]}: ${titled(view().classes[0])}, shown below.`;
  };

  // What is chosen ---------------------------------------------------------------------------------------------------

  const offerSounds = () =>
    offer(element("sounds"), "sound", Object.entries(PARTS), state.sound, (name) => {
      state.sound = name;
      useSound();
    });

  const offerClasses = () => {
    const choices = view().classes.map((one, index) => [index, titled(one)]);
    element("classes").hidden = choices.length === 1;
    offer(element("classes"), "class", choices, state.chosen, (index) => {
      state.chosen = index;
      panels.forEach((panel, side) => panel.classList.toggle("chosen", side === index));
      showCurves();
      useSound();
    });
  };

  const setPercent = (percent) => {
    state.percent = percent;
    element("percent").value = percent;
    element("percent").setAttribute("aria-valuetext", `${percent} per cent`);
    element("percent-value").textContent = `${percent} %`;
    showCurves();
  };

  const choose = (index) => {
    Object.assign(state, { view: index, chosen: 0, faded: null });
    offerClasses();
    panels.forEach(showPanel);
    showLevelScale(view().valueRange, view().valueUnit);
    setPercent(view().percent);
    showWindow();
    panels.forEach(draw);
    useSound();
  };

  const showScales = () => {
    pictures.scale(element("map-scale"), "map");
    pictures.scale(element("level-scale"), "levels");
    if (timeline) pictures.scale(element("timeline-scale"), "levels");
  };

  const redraw = () => {
    panels.forEach(draw);
    drawTimeline();
    transport.drawWave();
  };

  element("percent").addEventListener("input", ({ target }) => {
    setPercent(Number(target.value));
    if (state.sound === "original") {
      state.sound = "kept";
      offerSounds();
    }
    useSound();
  });
  element("loud").addEventListener("change", ({ target }) => {
    state.loud = target.checked;
    useSound();
  });
  element("opacity").addEventListener("input", ({ target }) => {
    state.opacity = target.value / 100;
    element("opacity-value").textContent = `${target.value} %`;
    panels.forEach(draw);
  });
  document.addEventListener("colours", async () => {
    shown().forEach(colour);
    showScales();
    await fade();
    redraw();
  });
  element("clip-app").hidden = false;
  if (timeline) {
    element("timeline-app").hidden = false;
    markWindows();
    element("window").addEventListener("change", ({ target }) => choose(Number(target.value)));
    strip.addEventListener("click", tell);
    new ResizeObserver(drawTimeline).observe(strip);
  }
  new ResizeObserver(redraw).observe(element("clip-app"));
  showScales();
  showShares();
  offerSounds();
  choose(opened);
})();
