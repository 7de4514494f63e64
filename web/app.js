/** The page: the list at the side, one conversation in the middle, the box below it. */

import { showAccount } from "./account.js";
import { ChatClient } from "./client/client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { hearCopyButtons } from "./copying.js";
import { byId } from "./dom.js";
import { hearCitations } from "./extras.js";
import { Library } from "./library.js";
import { addressOf, conversationInAddress, leaveConversation, messages, title, welcome } from "./page.js";
import { Sidebar } from "./sidebar.js";
import { signIn } from "./sign-in.js";
import { Tabs } from "./tabs.js";
import { hearThemeButton } from "./themes.js";
import { hearUndo } from "./toasts.js";

/** Looked at again after so long, the page asks what has happened meanwhile. */
const STALE_MS = 10_000;

const client = new ChatClient({ baseUrl: signIn.baseUrl, headers: signIn.headers });
const tabs = new Tabs();
const library = new Library(client, tabs);
const sidebar = new Sidebar({ library, onRemove: remove });
const conversation = new Conversation({
  client,
  library,
  tabs,
  onShown: (id) => (sidebar.current = id),
});
const composer = new Composer({
  onAsk: (question) => conversation.ask(question),
  onStop: () => void conversation.stop(),
  onEdit: () => conversation.editLast(),
});
conversation.use(composer);

/**
 * Deletes a conversation, for as long as nobody undoes it.
 * @param {string} id
 */
function remove(id) {
  const shown = conversation.id === id;
  if (shown) {
    leaveConversation("replace");
    void conversation.open("");
  }
  library.remove(id, () => {
    // The button that was pressed is gone.
    if (document.activeElement === document.body) sidebar.focus(id);
    if (document.activeElement === document.body) composer.focus();
    if (!shown || conversation.id) return;
    history.replaceState(null, "", addressOf(id));
    void conversation.open(id);
  });
}

function startNew() {
  sidebar.close();
  conversation.startNew();
}

/** What happened while nobody looked. */
function catchUp() {
  let left = performance.now();
  addEventListener("visibilitychange", () => {
    const now = performance.now();
    if (document.hidden) left = now;
    else if (now - left > STALE_MS) {
      void library.load();
      void conversation.refresh();
    }
  });
}

function showConnection() {
  byId("offline", HTMLElement).hidden = navigator.onLine;
}

/** `make run` serves a drawer for developers; elsewhere there is none. */
async function openDrawer() {
  if (!["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) return;
  const path = "/api/local/drawer.js";
  try {
    const { mount } = await import(path);
    const host = document.createElement("aside");
    document.body.append(host);
    document.body.classList.add("has-drawer");
    mount({ client, host });
  } catch {
    // Served otherwise.
  }
}

for (const id of ["new", "new-here"]) byId(id, HTMLButtonElement).addEventListener("click", startNew);
for (const suggestion of welcome.querySelectorAll("button")) {
  suggestion.addEventListener("click", () => conversation.ask(suggestion.textContent?.trim() ?? ""));
}
addEventListener("popstate", () => {
  if (conversationInAddress() !== conversation.id) void conversation.open(conversationInAddress());
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) void conversation.stop();
});
library.addEventListener("change", () => {
  const name = library.find(conversation.id)?.title;
  if (name) title(name);
});
library.addEventListener("removed", (event) => {
  if (/** @type {CustomEvent} */ (event).detail === conversation.id) conversation.startNew();
});
for (const name of ["online", "offline"]) addEventListener(name, showConnection);

hearCopyButtons(messages);
hearCitations(messages);
hearThemeButton();
hearUndo();
catchUp();
showConnection();
void library.load().then(() => showAccount({ owned: library.mode !== "here" }));
void client.actions().then(({ items }) => composer.offer(items), () => {});
void conversation.open(conversationInAddress());
void openDrawer();
composer.focus();
