"""Integrated Gradients on paths that a map lays for itself: its most relevant cells come first, then last.

Idea
----
A map is judged by what is heard while cells come in its order, so the gradients that matter are those on that way, and
a straight line never goes there. A first estimate, half from silence and half from noise, orders the cells; then, round
by round, cells come in the order of the map so far and in the opposite one, each out of silence and out of noise, and
what these paths say is added to the map. Every path is complete, and so is their weighted mean.

Each path is read in two ways that need the same gradients: cell by cell (Integrated Gradients), and with every step's
change shared out by the squared gradient (IDGI), which leaves out what the step has of directions that change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, RandomBaseline, blurred
from audioxai.utils.errors import UserError
from audioxai.xai_methods.accumulation import Score, change_along, end_scores, path_sum, shared_out
from audioxai.xai_methods.calls import prepared
from audioxai.xai_methods.combinations import weighted_sum
from audioxai.xai_methods.explained_scores import Explained, Logit
from audioxai.xai_methods.path_integral import Integral, call_size
from audioxai.xai_methods.paths import Curve, InTurns, Line, beside, turns_of
from audioxai.xai_methods.quadrature import Midpoint, Partition

LOGIT = Logit()
PATHS_A_ROUND = 4
FIRST_DRAWS = 2
# The first estimate, of one kind of path a meaning of "absent" where a round has two, counts as much as a round.
FIRST_WEIGHT = 2.0
FEWEST = PATHS_A_ROUND + 2
GRADIENTS_A_ROUND = 5


@dataclass(frozen=True, eq=False)
class _Walk:
    """One path with the places of its gradients, how far its map is smoothed, and what it counts."""

    curve: Curve
    partition: Partition
    sigma_cells: float
    weight: float = 1.0


@dataclass(frozen=True)
class OrderedIntegratedGradients:
    """Attributions from paths in the order of the attributions so far.

    Attributes
    ----------
    silence : Baseline
        Nothing: one meaning of "absent".
    noise : RandomBaseline
        What hides a sound, the other meaning; drawn anew for every path.
    gradients : int
        Gradients a sample, at least 6: about a quarter for the first estimate, the rest for the rounds.
    rounds : int
        How often the map lays its paths anew; fewer where the gradients do not suffice.
    overlap : float
        How long a cell takes to come, as a share of the time in which all begin to.
    shared : float
        Weight in [0, 1] of the reading that shares out changes by the squared gradient.
    silence_sigma_cells, noise_sigma_cells : float
        Standard deviations of the Gaussians that smooth what paths out of silence and out of noise say, in cells. What
        noise hides depends on neighbours, so a few gradients leave it noisy from cell to cell.
    explained : Explained
        The score that is explained.

    Notes
    -----
    A = Σ_j w_j A_j over paths j and both readings, w_j in proportion to the reading's weight over Σ|A_j|, together 1:
    every path has an equal say in every sample, as in :class:`BalancedMean`, and ΣA = Σ_j w_j (F(x) − F(start of j)).
    """

    silence: Baseline
    noise: RandomBaseline
    gradients: int = 32
    rounds: int = 3
    overlap: float = 0.5
    shared: float = 0.3
    silence_sigma_cells: float = 1.0
    noise_sigma_cells: float = 2.0
    explained: Explained = LOGIT

    def __post_init__(self) -> None:
        if self.gradients < FEWEST or self.rounds < 1:
            raise UserError(f"gradients is {self.gradients} and rounds is {self.rounds}; give at least {FEWEST} and 1")
        if not 0.0 <= self.shared <= 1.0 or not self.overlap > 0.0:
            raise UserError(
                f"shared is {self.shared} and overlap is {self.overlap}; give the first in [0, 1] and the other above 0"
            )
        if not min(self.silence_sigma_cells, self.noise_sigma_cells) > 0.0:
            raise UserError(
                f"silence_sigma_cells is {self.silence_sigma_cells} and noise_sigma_cells {self.noise_sigma_cells}; "
                "a blur needs a positive standard deviation"
            )

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs`` ``(batch, 1, …)``, in logits."""

        def explain(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            return self._integral(model, inputs, targets, call_size(inputs), with_change=False).attributions

        return prepared(model, inputs, targets, explain)

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, inputs_a_call: int | None = None
    ) -> Integral:
        """Attributions with their completeness gap to the weighted mean change, as :meth:`PathIntegral.attribute`."""

        def measured(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            return self._integral(model, inputs, targets, inputs_a_call or call_size(inputs), with_change=True)

        return prepared(model, inputs, targets, measured)

    def passes(self, inputs: Tensor) -> int:
        """``gradients`` a sample, and what the score takes beforehand."""
        return len(inputs) * (self.gradients + self.explained.passes)

    @property
    def budget(self) -> tuple[int, int, int]:
        """Rounds, gradients on each of their paths, and gradients of the first estimate."""
        rounds = min(self.rounds, max(1, self.gradients // GRADIENTS_A_ROUND))
        steps = (self.gradients - self.gradients // 5) // (PATHS_A_ROUND * rounds)
        return rounds, steps, self.gradients - PATHS_A_ROUND * rounds * steps

    def _integral(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        score, rounds = self.explained.score(model, inputs, targets, size), self.budget[0]
        rows = torch.arange(len(inputs), device=inputs.device)
        total, weights, changes = torch.zeros_like(inputs), [], []
        for number in range(rounds + 1):
            walks = self._round(inputs, turns_of(total), number) if number else self._first(inputs)
            for walk in walks:
                maps = self._maps(score, walk, rows, size)
                own = self._weights(maps, walk.weight)
                total = total + weighted_sum(own, list(maps.unbind(1)))
                weights.append(own.sum(0))
                if with_change:
                    start, end = end_scores(score, walk.curve, rows, size)
                    changes.append(end - start)
        whole = torch.stack(weights).sum(0)
        attributions = total / beside(whole.where(whole > 0.0, 1.0), total)
        change = _mean_change(torch.stack(weights), torch.stack(changes)) if changes else torch.zeros_like(whole)
        return Integral(attributions, change, torch.full_like(rows, self.gradients)).require_finite()

    def _first(self, inputs: Tensor) -> Iterator[_Walk]:
        """All cells at once: straight from silence, and from a few draws of noise."""
        first = self.budget[2]
        noisy = first // 2
        draws = FIRST_DRAWS if noisy % FIRST_DRAWS == 0 else 1
        silent = Midpoint(first - noisy).partition()
        yield _Walk(Line(self.silence(inputs), inputs), silent, self.silence_sigma_cells, FIRST_WEIGHT)
        for draw in range(draws):
            line = Line(self.noise.drawn(inputs, draw), inputs)
            partition = Midpoint(noisy // draws).of_draw(draw, draws)
            yield _Walk(line, partition, self.noise_sigma_cells, FIRST_WEIGHT / draws)

    def _round(self, inputs: Tensor, turns: Tensor, number: int) -> Iterator[_Walk]:
        """Cells by their turns and in the opposite order, out of silence and out of noise of a draw of their own."""
        partition, silence = Midpoint(self.budget[1]).partition(), self.silence(inputs)
        orders = (turns, 1.0 - turns)
        for order in orders:
            yield _Walk(InTurns(silence, inputs, order, self.overlap), partition, self.silence_sigma_cells)
        for draw, order in enumerate(orders, FIRST_DRAWS * number):
            noise = self.noise.drawn(inputs, draw)
            yield _Walk(InTurns(noise, inputs, order, self.overlap), partition, self.noise_sigma_cells)

    def _maps(self, score: Score, walk: _Walk, rows: Tensor, size: int) -> Tensor:
        """Both readings of one path, smoothed, ``(batch, 2, 1, …)``."""

        def both(gradients: Tensor, steps: Tensor) -> Tensor:
            return torch.stack([change_along(gradients, steps), shared_out(gradients, steps)], 1)

        maps = path_sum(score, walk.curve, rows, walk.partition, size, both)
        smoothed = blurred(maps.flatten(0, 1), maps.new_full((2 * len(maps),), walk.sigma_cells))
        return smoothed.reshape_as(maps)

    def _weights(self, maps: Tensor, weight: float) -> Tensor:
        """What each reading counts in every sample, ``(2, batch)``; one that is nought everywhere counts nothing."""
        sizes = maps.flatten(2).abs().sum(2).T
        due = weight * maps.new_tensor([1.0 - self.shared, self.shared])[:, None]
        return torch.where(sizes > 0.0, due / sizes.where(sizes > 0.0, 1.0), 0.0)


def _mean_change(weights: Tensor, changes: Tensor) -> Tensor:
    """Weighted mean over paths of ``(paths, batch)``; the plain one where no path says anything."""
    whole = weights.sum(0)
    mean = (weights * changes).sum(0) / whole.where(whole > 0.0, 1.0)
    return torch.where(whole > 0.0, mean, changes.mean(0))
