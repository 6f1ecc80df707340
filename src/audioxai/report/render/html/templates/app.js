"use strict";

// The live app: opens sounds, shows what the models say, asks why, and erases.
(() => {
  const element = (id) => document.getElementById(id);
  const stored = element("app-data");
  if (!stored) return;
  const { palettes } = JSON.parse(stored.textContent);
  const pictures = new Pictures(palettes);
  const panels = [element("panel-0"), element("panel-1")];
  const MOST_SHOWN = 6;
  const RECORDED_S = 20;
  const state = {
    session: null, // what the server said when the page came
    clip: null, // what is open: the server's token and description of a sound
    sides: [], // of every model: its part of the description, what it says now, and what was explained
    sound: "original", // what is heard: original, kept, removed, erased
    chosen: 0, // side whose map keeps and removes
    percent: 20,
    opacity: 0.85,
    loud: true,
    solo: false,
    removal: "silence",
    faded: null,
    erased: null, // samples of the sound with cells erased, as the model got them
    isLost: false, // whether the connection to the server is
  };
  const PLAYED = { ...PARTS, erased: "Erased" };
  const played = () => ({ ...PLAYED, erased: state.solo ? "Brushed only" : PLAYED.erased });

  const view = () => state.sides[0]?.picture;
  const durationS = () => view().stft.samples / view().rateHz;
  const made = (name, properties = {}, ...children) => {
    const one = Object.assign(document.createElement(name), properties);
    one.append(...children);
    return one;
  };
  const probabilityText = (value) => (value > 0 && value < 0.005 ? "< 0.01" : value >= 0.995 && value < 1 ? "> 0.99" : value.toFixed(2));

  const transport = new Transport(
    panels.map((panel, side) => ({
      plot: panel.querySelector(".plot"),
      // In the picture of another model time begins elsewhere.
      share: (seconds) => {
        const [left, , right] = state.sides[side]?.erasable ?? [0, 0, 1, 1];
        return left + (seconds / durationS()) * (right - left);
      },
      seconds: (share) => {
        const [left, , right] = state.sides[side].erasable;
        return ((share - left) / (right - left)) * durationS();
      },
    })),
  );

  const LOST = "the connection to the app is lost; start it again if it has ended, then load this page again";
  const showError = (text) => {
    element("error").hidden = !text;
    element("error").textContent = text && `${text[0].toUpperCase()}${text.slice(1)}.`;
  };

  // The server -------------------------------------------------------------------------------------------------------

  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  const awaited = new Map(); // number → what is done with the answer
  let numbers = 0;
  let withSound = null; // an answer whose sound comes next
  let refused = null; // why the server does not want this page

  const send = (message) => {
    const number = ++numbers;
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ...message, number }));
    return number;
  };

  // A promise of one answer; of null where something newer was asked before the server began with it.
  const asked = (message) =>
    new Promise((resolve, reject) => {
      if (state.isLost) reject(new Error(LOST));
      else awaited.set(send(message), { resolve, reject });
    });

  const settle = (message) => {
    const one = awaited.get(message.number);
    awaited.delete(message.number);
    if (message.is === "failed") one?.reject(new Error(message.text));
    else one?.resolve(message.is === "dropped" ? null : message);
  };

  socket.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") {
      settle({ ...withSound, sound: new Float32Array(data) });
      return;
    }
    const message = JSON.parse(data);
    if (message.is === "session") welcome(message);
    else if (message.is === "refused") refused = message.text;
    else if (jobs.has(message.number)) work(message);
    else if (message.hasSound) withSound = message;
    else if (message.number === -1) showError(message.text);
    else settle(message);
  });
  socket.addEventListener("close", () => {
    state.isLost = true;
    for (const { reject } of awaited.values()) reject(new Error(LOST));
    awaited.clear();
    jobs.clear();
    showWorking();
    for (const control of document.querySelectorAll("#file, #record, #example, #why :is(select, button), #window")) control.disabled = true;
    element("choose").classList.add("disabled");
    showError(refused ?? LOST);
  });

  const welcome = (session) => {
    state.session = session;
    element("models").replaceChildren(session.models.length > 1 ? "Models: " : "Model: ", ...session.models.flatMap(({ name }, side) => [side ? " and " : "", made("bdi", { textContent: name })]));
    element("limits").textContent =
      `WAV, FLAC, OGG, Opus, MP3 or AIFF, up to ${session.longestS} s and ${Math.round(session.mostBytes / 2 ** 20)} MiB. ` +
      "Sounds stay on the machine that runs this app and go when you close the page.";
  };

  // Opening sounds ---------------------------------------------------------------------------------------------------

  // Opens a sound; what was being opened is given up.
  let opening = new AbortController();
  const open = async (address, { name = "", body = null, doing }) => {
    if (!state.session || state.isLost) return;
    opening.abort();
    const { signal } = (opening = new AbortController());
    showError("");
    element("opening").textContent = doing;
    document.body.setAttribute("aria-busy", "true");
    try {
      if (body && body.size > state.session.mostBytes) {
        throw new Error(`the file is larger than ${Math.round(state.session.mostBytes / 2 ** 20)} MiB; give a shorter part of it`);
      }
      const headers = { "X-Session": state.session.session, "X-Name": encodeURIComponent(name), "Content-Type": "application/octet-stream" };
      const answer = await fetch(address, { method: "POST", headers, body, signal }).catch((error) => {
        throw signal.aborted ? error : new Error("the sound did not reach the app; look whether it still runs, then try again");
      });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.error);
      use(found);
      element("opening").textContent = found.name;
    } catch (error) {
      if (signal.aborted) return;
      element("opening").textContent = state.clip?.name ?? "";
      showError(error.message);
    }
    document.body.removeAttribute("aria-busy");
  };
  const openFile = (file) => open("/sounds", { name: file.name, body: file, doing: "Opening the sound…" });

  const recorder = new Recorder(RECORDED_S, (seconds, level) => {
    element("record").disabled = false;
    element("record").classList.add("recording");
    element("record").textContent = `Stop recording (${seconds.toFixed(0)} of ${RECORDED_S} s)`;
    element("level").hidden = false;
    element("level").value = level;
  });
  const record = async () => {
    if (recorder.isRecording) {
      recorder.stop();
      return;
    }
    showError("");
    // Until the reader has allowed it, which begins the recording.
    element("record").disabled = true;
    let heard = null;
    try {
      heard = await recorder.record();
    } catch (error) {
      showError(error.message);
    }
    element("record").disabled = state.isLost;
    element("record").classList.remove("recording");
    element("record").textContent = "Record";
    element("level").hidden = true;
    element("level").value = 0;
    if (heard) await open("/sounds", { name: "recording", body: heard, doing: "Opening the recording…" });
  };

  // A sound, or another part of one.
  const use = (clip) => {
    stopAll();
    transport.player.pause();
    state.clip = clip;
    state.sides = clip.models.map((side) => ({ ...side, now: side.probabilities, explained: null, sounds: new ClipSounds(side.picture) }));
    Object.assign(state, { sound: "original", chosen: 0, solo: false, faded: null, erased: null });
    document.body.classList.add("is-loaded");
    element("loaded").hidden = false;
    element("solo").setAttribute("aria-pressed", false);
    const notes = [...clip.notes, ...new Set(clip.models.flatMap((side) => side.notes))];
    element("notes").hidden = !notes.length;
    element("notes").querySelector("ul").replaceChildren(...notes.map((note) => made("li", {}, made("bdi", { textContent: note }))));
    element("window-field").hidden = !clip.windows.length;
    element("window").replaceChildren(...clip.windows.map(({ startS, text }) => new Option(text, startS, false, startS === clip.startS)));
    document.querySelector("#picture .panels").classList.toggle("one", state.sides.length === 1);
    eraser.reset(clip.cells, panels.map((_, side) => state.sides[side]?.erasable ?? [0, 0, 1, 1]));
    showVerdict();
    offerTargets();
    showPredictions();
    element("said").textContent = "";
    showTools();
    panels.forEach(showPanel);
    showLevelScale(view().valueRange, view().valueUnit);
    offerSounds();
    redraw();
    useSound();
  };

  // What the models say ----------------------------------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  const bar = (now, was) => {
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", "0 0 100 10");
    picture.setAttribute("preserveAspectRatio", "none");
    for (const [kind, width] of [["rail", 100], ["", 100 * now], ["was", 100 * was]]) {
      const one = document.createElementNS(SVG, "rect");
      one.setAttribute("class", kind);
      one.setAttribute("width", width);
      one.setAttribute("height", 10);
      picture.append(one);
    }
    return picture;
  };
  const likeliest = (probabilities) => probabilities.reduce((best, value, index) => (value > probabilities[best] ? index : best), 0);
  const isChanged = () => state.sides.some(({ now, probabilities }) => now !== probabilities);

  const ranked = ({ probabilities }) => probabilities.map((_, index) => index).sort((one, other) => probabilities[other] - probabilities[one]);

  // The likeliest classes at first and now, and the one that is asked about, in the order that they had at first.
  const rowsOf = (side, target) => {
    const order = ranked(side);
    const shown = new Set([...order.slice(0, MOST_SHOWN), target, likeliest(side.now)]);
    return order.filter((index) => shown.has(index));
  };

  const showPredictions = () => {
    element("predictions").replaceChildren(
      ...state.sides.flatMap((side, place) => {
        const target = targetOf(place);
        const best = likeliest(side.now);
        const rows = rowsOf(side, target).map((index) => {
          const [now, was] = [side.now[index], side.probabilities[index]];
          const value = made("td", { textContent: probabilityText(now) });
          if (side.now !== side.probabilities) value.append(" ", made("span", { className: "change", textContent: `(was ${probabilityText(was)})` }));
          const cell = made("td", { className: "bar-cell" }, bar(now, was));
          cell.setAttribute("aria-hidden", true);
          const name = made("th", { scope: "row" }, made("bdi", { textContent: side.names[index] }));
          return made("tr", { className: index === best ? "explained" : "" }, name, value, cell);
        });
        const titles = ["Class", "Probability"].map((textContent) => made("th", { scope: "col", textContent }));
        const head = made("thead", { className: "unseen" }, made("tr", {}, ...titles, made("td")));
        const table = made("table", {}, head, made("tbody", {}, ...rows));
        const title = made("p", { className: "model-name" }, made("bdi", { textContent: state.session.models[place].name }));
        const note = side.scale ? [made("p", { className: "note", textContent: side.scale })] : [];
        return state.sides.length > 1 ? [title, table, ...note] : [table, ...note];
      }),
    );
  };

  // In words, for readers that do not see bars move; not before the brush rests.
  let speaking = 0;
  const say = () => {
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      const said = state.sides.map((side, place) => {
        const target = targetOf(place);
        const best = likeliest(side.now);
        const model = state.sides.length > 1 ? `${state.session.models[place].name}: ` : "";
        const first = `${model}${side.names[target]} ${probabilityText(side.now[target])}, was ${probabilityText(side.probabilities[target])}`;
        return best === target ? `${first}.` : `${first}; now ${side.names[best]} ${probabilityText(side.now[best])}.`;
      });
      element("said").textContent = isChanged() ? said.join(" ") : "";
    }, 300);
  };

  // Asking why -------------------------------------------------------------------------------------------------------

  const targetSelect = (place) => element(`target-${place}`);
  const targetOf = (place) => Number(targetSelect(place)?.value ?? likeliest(state.sides[place].probabilities));

  const offerTargets = () => {
    const fields = state.sides.map((side, place) => {
      const select = made("select", { id: `target-${place}` });
      select.append(...ranked(side).map((index) => new Option(`${side.names[index]} (${probabilityText(side.probabilities[index])})`, index)));
      select.addEventListener("change", showPredictions);
      const label = made("label", { htmlFor: select.id, textContent: state.sides.length > 1 ? `Class, for ${state.session.models[place].name}` : "Class" });
      return made("div", { className: "field" }, label, select);
    });
    element("targets").replaceChildren(...fields);
    const known = state.session.models.map(({ methods }) => new Map(methods.map((one) => [one.name, one])));
    const methods = [...known[0].values()].filter(({ name }) => known.every((others) => others.has(name)));
    const before = element("method").value;
    element("method").replaceChildren(...methods.map(({ name, label }) => new Option(label, name)));
    if (methods.some(({ name }) => name === before)) element("method").value = before;
    showMethod();
  };

  const showMethod = () => {
    const { bothRemovals } = state.session.models[0].methods.find(({ name }) => name === element("method").value) ?? {};
    element("method-note").textContent = bothRemovals
      ? "Explained is the sound as it was opened, whatever is erased. This method removes sound into silence and into noise by itself; the choice is for the eraser."
      : "Explained is the sound as it was opened, whatever is erased. What removed sound becomes is for the explanation and for the eraser.";
  };

  const jobs = new Map(); // number → { place, target }
  const explain = (event) => {
    event.preventDefault();
    if (!state.clip || jobs.size || state.isLost) return;
    showError("");
    state.sides.forEach((_, place) => {
      const job = { place, target: targetOf(place) };
      const message = { do: "explain", sound: state.clip.sound, startS: state.clip.startS, model: place, target: job.target };
      jobs.set(send({ ...message, method: element("method").value, removal: state.removal }), job);
    });
    element("progress").removeAttribute("value");
    element("doing").textContent = "Waiting";
    showWorking();
  };

  const showWorking = () => {
    element("working").hidden = !jobs.size;
    element("explain").disabled = jobs.size > 0 || state.isLost;
    document.querySelector("#why").setAttribute("aria-busy", jobs.size > 0);
  };

  const stopAll = () => {
    for (const number of jobs.keys()) socket.send(JSON.stringify({ do: "stop", number }));
    jobs.clear();
    showWorking();
  };

  let toldTenths = -1;
  const work = (message) => {
    const { place, target } = jobs.get(message.number);
    if (message.is === "queued") {
      if (place === 0) element("doing").textContent = message.ahead ? `Waiting: ${message.ahead} before yours` : "Waiting";
      return;
    }
    if (message.is === "passes") {
      const share = Math.min(1, message.done / message.total);
      element("progress").value = share;
      const tenths = Math.floor(10 * share);
      const label = state.sides[place].names[target];
      if (tenths !== toldTenths) element("doing").textContent = `Explaining ${label}: ${10 * tenths} %`;
      toldTenths = tenths;
      return;
    }
    jobs.delete(message.number);
    toldTenths = -1;
    if (message.is === "failed") showError(message.text);
    if (message.is === "explained") {
      const side = state.sides[place];
      side.explained = message;
      side.sounds = new ClipSounds(message.view);
      state.chosen = place;
      setPercent(message.view.percent);
      showVerdict();
      showPanel(panels[place], place);
      offerMaps();
      offerSounds();
      redraw();
      useSound();
    }
    showWorking();
  };

  const showVerdict = () => {
    const side = state.sides[state.chosen];
    const explained = side.explained;
    const best = likeliest(side.probabilities);
    const model = state.sides.length > 1 ? ` by ${state.session.models[state.chosen].name}` : "";
    element("verdict").className = `verdict ${explained?.tone ?? "unasked"}`;
    element("heading").textContent = explained ? `${explained.label}${model}: ${explained.heading.replace("this explanation", "the explanation")}` : `${side.names[best]}, ${probabilityText(side.probabilities[best])}${model}`;
    element("sentence").textContent = explained ? explained.sentence : "Explain it, or brush over the picture and see which part of the sound decides.";
    element("where").textContent = explained ? `${explained.where} Method: ${explained.method}.` : "";
    element("share").hidden = !explained;
    element("map-scale").parentElement.hidden = !state.sides.some((one) => one.explained);
    if (explained) element("page").href = `/pages/${explained.page}`;
  };

  const offerMaps = () => {
    const choices = state.sides.flatMap(({ explained }, place) => (explained ? [[place, `${state.session.models[place].name}: ${explained.label}`]] : []));
    element("maps").hidden = choices.length < 2;
    offer(element("maps"), "map", choices, state.chosen, (place) => {
      state.chosen = place;
      showVerdict();
      setPercent(state.sides[place].explained.view.percent);
      useSound();
    });
  };

  // The eraser -------------------------------------------------------------------------------------------------------

  const isErasing = () => state.solo || !eraser.isEmpty;

  // One question is under way at a time; where the brush has moved on meanwhile, only where it is now is asked about.
  const askErased = newest(async (isStale) => {
    const clip = state.clip;
    if (!isErasing()) {
      for (const side of state.sides) side.now = side.probabilities;
      state.erased = null;
    } else {
      const hear = !eraser.isBrushing || transport.player.isPlaying;
      try {
        const message = { do: "erase", sound: clip.sound, startS: clip.startS, removal: state.removal, hear };
        const answer = await asked({ ...message, erased: eraser.packed(state.solo) });
        if (!answer || clip !== state.clip) return;
        state.sides.forEach((side, place) => (side.now = answer.probabilities[place]));
        state.erased = answer.sound ?? state.erased;
      } catch (error) {
        if (clip === state.clip) showError(error.message);
        return;
      }
    }
    showPredictions();
    say();
    if (isStale()) return;
    if (state.erased && !PLAYED[state.sound]) state.sound = "erased";
    useSound();
  });

  const erase = () => {
    if (isErasing()) state.sound = "erased";
    else if (state.sound === "erased") state.sound = "original";
    offerSounds();
    showTools();
    eraser.draw();
    askErased();
  };

  let placing = 0;
  const eraser = new Eraser(panels, erase, ([x, y]) => {
    clearTimeout(placing);
    placing = setTimeout(() => {
      const top = melOf(view().rateHz / 2);
      const hertz = 700 * (10 ** (((1 - y) * top) / 2595) - 1);
      element("place").textContent = `${(view().startS + x * durationS()).toFixed(2)} s, ${hertz.toFixed(0)} Hz`;
    }, 200);
  });
  const melOf = (hertz) => 2595 * Math.log10(1 + hertz / 700);
  eraser.onsize = (radius) => (element("size").value = radius);

  const TOOLS = [["erase", "Erase"], ["restore", "Restore"], ["listen", "Move the playhead"]];
  const useTool = (tool) => {
    eraser.restores = tool === "restore";
    document.querySelector("#picture .panels").classList.toggle("erasing", tool !== "listen");
  };

  const showTools = () => {
    element("undo").disabled = !eraser.canUndo;
    element("clear").disabled = eraser.isEmpty;
  };

  // What is heard and seen -------------------------------------------------------------------------------------------

  const useSound = newest(async (isStale) => {
    const side = state.sides[state.chosen];
    const own = { ...state };
    const samples = await side.sounds.original();
    let heard;
    let text;
    if (own.sound === "erased") {
      if (!own.erased) return;
      // The server's clip is as it is; the page's copy was divided by its peak where that exceeds full scale.
      const original = await state.sides[0].sounds.original();
      heard = amplified(own.erased, gainOf(own.erased, original, own.loud), view().rateHz);
      text = `${own.solo ? "Only what you brushed" : "The sound without what you brushed"}${heard.told}.`;
    } else {
      heard = await side.sounds.heard({ ...own, chosen: 0 });
      text = toldOf(own, heard.told);
    }
    if (isStale() || !samples.length) return;
    transport.use(heard.buffer, PLAYED[own.sound].toLowerCase(), LARGEST_PEAK);
    element("sound-note").textContent = text;
    state.faded = own.sound === "erased" ? null : await side.sounds.faded({ ...own, chosen: 0 });
    panels.forEach(draw);
    await new Promise(requestAnimationFrame);
  });

  const offerSounds = () => {
    const explained = state.sides[state.chosen].explained;
    const choices = Object.entries(played()).filter(([name]) => name === "original" || (name === "erased" ? isErasing() : explained));
    if (!choices.some(([name]) => name === state.sound)) state.sound = "original";
    offer(element("sounds"), "sound", choices, state.sound, (name) => {
      state.sound = name;
      useSound();
    });
    element("percent-field").hidden = element("opacity-field").hidden = !explained;
  };

  const setPercent = (percent) => {
    state.percent = percent;
    element("percent").value = percent;
    element("percent").setAttribute("aria-valuetext", `${percent} per cent`);
    element("percent-value").textContent = `${percent} %`;
  };

  const colour = (panel, side) => {
    const { picture, explained } = state.sides[side];
    const { shape, levels, upwards } = explained?.view ?? picture;
    panel.levels = pictures.levels({ shape, levels, upwards });
    const one = explained?.view.classes[0];
    panel.map = one ? pictures.map({ shape: one.mapShape, upwards }, one.map) : null;
  };

  const draw = (panel, side) => {
    const one = state.sides[side];
    if (panel.hidden || !one || !panel.levels) return;
    const canvas = panel.querySelector("canvas");
    const extent = one.explained?.view.classes[0].extent;
    pictures.draw(canvas, panel.levels, panel.map, { opacity: state.opacity, extent, smooth: true });
    if (state.faded && side === state.chosen) one.sounds.cover(canvas, state.faded);
  };

  const showPanel = (panel, side) => {
    const one = state.sides[side];
    panel.hidden = !one;
    if (!one) return;
    const model = state.sides.length > 1 ? `${state.session.models[side].name}. ` : "";
    const { explained } = one;
    panel.querySelector(".name").textContent = `${model}${explained ? `Map of ${explained.label}` : "Spectrogram"}`;
    const label = explained ? `Map of ${explained.label} over the spectrogram. ${explained.where}` : "Spectrogram of the sound";
    panel.querySelector("canvas").setAttribute("aria-label", label);
    eraser.layers[side].setAttribute("aria-label", `${model}Eraser over the spectrogram`);
    colour(panel, side);
    showAxes(panel, one.picture);
  };

  const showScales = () => {
    pictures.scale(element("map-scale"), "map");
    pictures.scale(element("level-scale"), "levels");
  };

  const redraw = () => {
    if (!state.clip) return;
    panels.forEach(draw);
    eraser.draw();
    transport.drawWave();
  };

  // What is pressed --------------------------------------------------------------------------------------------------

  element("file").addEventListener("change", ({ target }) => {
    if (target.files.length) openFile(target.files[0]);
    target.value = "";
  });
  element("record").addEventListener("click", record);
  element("example").addEventListener("click", () => open("/example", { doing: "Opening the example…" }));
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      element("drop").classList.toggle("over", over);
      if (name !== "drop") return;
      const [file] = event.dataTransfer.files;
      if (file) openFile(file);
      else showError("what was dropped is no file; drop a sound file");
    });
  }
  element("ask").addEventListener("submit", explain);
  element("stop").addEventListener("click", stopAll);
  element("method").addEventListener("change", showMethod);
  element("removal").addEventListener("change", ({ target }) => {
    state.removal = target.value;
    if (isErasing()) askErased();
  });
  let chosenParts = 0; // counts them, so that the answer for an older choice is dropped
  element("window").addEventListener("change", async ({ target }) => {
    const { clip } = state;
    const own = ++chosenParts;
    const isStale = () => own !== chosenParts || clip !== state.clip;
    showError("");
    element("opening").textContent = "Opening that part…";
    try {
      const answer = await asked({ do: "describe", sound: clip.sound, startS: Number(target.value) });
      if (!answer || isStale()) return;
      use({ ...answer, sound: clip.sound });
    } catch (error) {
      if (isStale()) return;
      target.value = clip.startS;
      showError(error.message);
    }
    element("opening").textContent = clip.name;
  });
  element("undo").addEventListener("click", () => eraser.undo());
  element("invert").addEventListener("click", () => eraser.invert());
  element("clear").addEventListener("click", () => eraser.clear());
  const toggleSolo = () => {
    state.solo = !state.solo;
    element("solo").setAttribute("aria-pressed", state.solo);
    erase();
  };
  element("solo").addEventListener("click", toggleSolo);
  element("picture").addEventListener("keydown", (event) => {
    if (!event.target.classList.contains("eraser") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "s") toggleSolo();
    else if (event.key === " ") element("play").click();
    else return;
    event.preventDefault();
  });
  element("size").addEventListener("input", ({ target }) => {
    eraser.radius = Number(target.value);
    eraser.draw();
  });
  element("percent").addEventListener("input", ({ target }) => {
    setPercent(Number(target.value));
    if (!["kept", "removed"].includes(state.sound)) {
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
  document.addEventListener("colours", () => {
    showScales();
    state.sides.forEach((_, side) => colour(panels[side], side));
    redraw();
    if (state.clip) useSound();
  });
  const tool = matchMedia("(pointer: coarse)").matches ? "listen" : "erase";
  offer(element("tools"), "tool", TOOLS, tool, useTool);
  useTool(tool);
  showScales();
  new ResizeObserver(redraw).observe(element("picture"));
})();
