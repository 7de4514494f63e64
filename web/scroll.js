/** Keeps the newest words in sight, unless the reader has scrolled up. */

const NEAR_PX = 90;

export class Follower {
  #jump;
  #following = true;

  /** @param {HTMLButtonElement} jump leads back to the newest words */
  constructor(jump) {
    this.#jump = jump;
    jump.addEventListener("click", () => this.toEnd());
    addEventListener("scroll", () => this.#look(), { passive: true });
    addEventListener("resize", () => this.grown(), { passive: true });
  }

  /** The page may have grown. */
  grown() {
    if (this.#following) this.toEnd();
    else this.#look();
  }

  /** Goes to the newest words and stays with them. */
  toEnd() {
    this.#following = true;
    this.#jump.hidden = true;
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }

  /**
   * Keeps what is in sight where it is while something is added above it.
   * @param {() => void} add
   */
  holding(add) {
    const { scrollHeight } = document.documentElement;
    const before = scrollY;
    add();
    const grown = document.documentElement.scrollHeight - scrollHeight;
    scrollTo({ top: before + grown, behavior: "instant" });
  }

  #look() {
    const { scrollHeight, clientHeight } = document.documentElement;
    this.#following = scrollHeight - clientHeight - scrollY < NEAR_PX;
    this.#jump.hidden = this.#following;
  }
}
