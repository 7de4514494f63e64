"""`make retrieval`: prints recall@5 and nDCG@10 of every way to search, as a Markdown table.

The parts are those of the app: ingestion, PostgreSQL, the embeddings client, the retriever. The
simulator serves both models: its own hashing of words, and a real one that a package carries.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import mean

from benchmarks.retrieval.measures import ndcg, recall
from ingestion.filling import Filling, fill
from ingestion.reading import files_in
from local.minilm import DIMENSIONS
from local.postgres import Postgres, running_postgres
from local.setup import SetupFailed, set_up_minilm
from local.simulator import Simulator, running_simulator
from shared.backends import Backends
from shared.messages import SearchMode
from shared.retrieval.base import Query
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MODELS = {
    "all-MiniLM-L6-v2": ("minilm", DIMENSIONS),
    "hashed words (simulator)": ("embedding", 1536),
}
MODES: tuple[SearchMode, ...] = ("vector", "text", "hybrid")


def questions() -> list[tuple[str, list[str]]]:
    """Each with the sections that answer it."""
    file = Path(__file__).with_name("questions.json")
    return [(question, relevant) for question, relevant in json.loads(file.read_bytes())]


def corpus() -> list[tuple[str, Path]]:
    """This project's own pages."""
    return list(files_in((ROOT / "README.md", ROOT / "docs"), ROOT))


async def measure(model: str, dimensions: int, postgres: Postgres, simulator: Simulator) -> None:
    """Fills a table with the model's vectors, asks every question, prints a row a mode."""
    name = next(name for name, (deployment, _) in MODELS.items() if deployment == model)
    settings = Settings(
        {
            "AZURE_OPENAI_ENDPOINT": simulator.url,
            "AZURE_OPENAI_API_KEY": "k",
            "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": model,
            "CHAT_RETRIEVERS": "D",
            "D__host": postgres.host,
            "D__port": str(postgres.port),
            "D__database": "postgres",
            "D__user": postgres.user,
            "D__password": postgres.password,
            "D__table": f"documents_{model}",
            "D__dimensions": str(dimensions),
        }
    )
    await fill(Filling(retriever="D", files=corpus()), settings)
    backends = Backends(settings)
    try:
        retriever = backends.retriever("D")
        for mode in MODES:
            recalls, gains, times = [], [], []
            for question, relevant in questions():
                begun = time.perf_counter()
                found = await retriever.search(Query(text=question, top_k=10, mode=mode))
                times.append(time.perf_counter() - begun)
                ids = [document.id or "" for document in found]
                recalls.append(recall(ids, relevant, 5))
                gains.append(ndcg(ids, relevant, 10))
            took = f"{1000 * sorted(times)[len(times) // 2]:.0f} ms"
            print(
                f"| {name} | {mode} | {mean(recalls):.2f} | {mean(gains):.2f} | {took} |",
                flush=True,
            )
    finally:
        await backends.aclose()


async def main() -> int:
    try:
        await asyncio.to_thread(set_up_minilm, ROOT)
    except SetupFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(questions())} questions, {len(corpus())} pages\n")
    print("| embeddings | search | recall@5 | nDCG@10 | median time |\n|---|---|---|---|---|")
    async with running_postgres() as postgres, running_simulator(token_ms=0) as simulator:
        for model, dimensions in MODELS.values():
            await measure(model, dimensions, postgres, simulator)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
