"""The update rule of each method, in symbols and with the numbers of one update in it. LaTeX; needs neither torch nor numba."""

from __future__ import annotations

from collections.abc import Sequence

# method -> its rule, and a sentence that says it
RULES: dict[str, tuple[str, str]] = {
    "policy evaluation": (
        r"V(s) \leftarrow \sum_a \pi(a|s) \sum_{s',r} p(s',r|s,a)\,[r + \gamma V(s')]",
        "The value of a state becomes the mean over the policy's moves of what they pay and where they lead.",
    ),
    "policy iteration": (
        r"V(s) \leftarrow \sum_{s',r} p(s',r|s,\pi(s))\,[r + \gamma V(s')], "
        r"\qquad \pi(s) \leftarrow \arg\max_a \sum_{s',r} p\,[r + \gamma V(s')]",
        "Evaluate the policy for some sweeps, then let it take the best move everywhere, and so on until nothing changes.",
    ),
    "value iteration": (
        r"V(s) \leftarrow \max_a \sum_{s',r} p(s',r|s,a)\,[r + \gamma V(s')]",
        "The value of a state becomes that of its best move: Bellman's optimality equation, used as an assignment.",
    ),
    "Monte Carlo": (
        r"Q(s,a) \leftarrow Q(s,a) + \alpha\,[G - Q(s,a)]",
        "At the end of an episode, each move's value goes towards the return G that really followed.",
    ),
    "SARSA": (
        r"Q(s,a) \leftarrow Q(s,a) + \alpha\,[r + \gamma Q(s',a') - Q(s,a)]",
        "The target takes the move a' that is really made next, exploring ones included: on-policy.",
    ),
    "expected SARSA": (
        r"Q(s,a) \leftarrow Q(s,a) + \alpha\,[r + \gamma \sum_{a'} \pi(a'|s') Q(s',a') - Q(s,a)]",
        "The target takes the mean over the moves that might be made next.",
    ),
    "Q-learning": (
        r"Q(s,a) \leftarrow Q(s,a) + \alpha\,[r + \gamma \max_{a'} Q(s',a') - Q(s,a)]",
        "The target takes the best next move, whatever is really made: off-policy.",
    ),
    "double Q-learning": (
        r"Q_1(s,a) \leftarrow Q_1(s,a) + \alpha\,[r + \gamma Q_2(s', \arg\max_{a'} Q_1(s',a')) - Q_1(s,a)]",
        "One table names the best next move, the other says what it is worth; they take turns.",
    ),
    "n-step SARSA": (
        r"Q(s_t,a_t) \leftarrow Q(s_t,a_t) + \alpha\,[r_{t+1} + \dots + \gamma^{n-1} r_{t+n} + \gamma^n Q(s_{t+n},a_{t+n}) - Q(s_t,a_t)]",
        "n real rewards, then a guess.",
    ),
    "SARSA(lambda)": (
        r"\delta = r + \gamma Q(s',a') - Q(s,a), \qquad "
        r"Q(\cdot) \leftarrow Q(\cdot) + \alpha\,\delta\,e(\cdot), \quad e \leftarrow \gamma\lambda\,e",
        "Each surprise is shared with every pair on the way there, in proportion to its trace e.",
    ),
    "Dyna-Q": (
        r"Q(s,a) \leftarrow Q(s,a) + \alpha\,[r + \gamma \max_{a'} Q(s',a') - Q(s,a)] \quad \text{once from the move, then from the model}",
        "Q-learning from the real move, then again and again from remembered ones.",
    ),
    "prioritised sweeping": (
        r"Q(s,a) \leftarrow \sum_{s'} \hat p(s'|s,a)\,[\hat r + \gamma \max_{a'} Q(s',a')] \quad \text{where it changes most}",
        "The pair whose value is most out of date goes first, then those that lead to it.",
    ),
    "REINFORCE": (
        r"\theta \leftarrow \theta + \eta\,(G - V(s))\,\nabla \log \pi(a|s), \qquad V(s) \rightarrow G",
        "Moves that earned more than the critic expected become likelier.",
    ),
    "A2C": (
        r"\theta \leftarrow \theta + \eta\,A\,\nabla \log \pi(a|s), \qquad V(s) \rightarrow V(s) + A",
        "As REINFORCE, with an advantage that need not wait for the end of the episode.",
    ),
    "PPO": (
        r"\max_\theta\ \min\!\left(\tfrac{\pi(a|s)}{\pi_{\text{old}}(a|s)} A,\ "
        r"\text{clip}(\cdot, 1 \pm \epsilon)\,A\right), \qquad V(s) \rightarrow V(s) + A",
        "Several steps on the same moves, none of them far from the policy that made them.",
    ),
    "DQN": (
        r"\text{minimise } \left(r + \gamma \max_{a'} Q_{\text{target}}(s',a') - Q(s,a)\right)^2 \text{ over replayed moves}",
        "Q-learning with a network: targets come from a copy that lags behind, moves from a replay buffer.",
    ),
}
_CRITICS = {"REINFORCE", "A2C", "PPO"}


def numbers(method: str, line: Sequence[float], gamma: float, move: str) -> str:
    """One update with its numbers: a row of `core.gridworld.memory` (step, state, action, reward, next, old, target, new, rate, end)."""
    reward, old, target, new, rate = line[3], line[5], line[6], line[7], line[8]
    if method in {"policy evaluation", "policy iteration", "value iteration"}:
        return rf"V(s) \leftarrow {target:.4g} \quad (\text{{it was }} {old:.4g})"
    if method == "prioritised sweeping":
        return rf"Q(s,\text{{{move}}}) \leftarrow {target:.4g} \quad (\text{{it was }} {old:.4g})"
    if method in _CRITICS:
        return rf"V(s) = {old:.4g} \to {new:.4g}, \quad \text{{wanted }} {target:.4g}"
    ahead = f"{reward:.4g}" if line[9] else rf"{reward:.4g} + {gamma:g}\cdot{_signed((target - reward) / gamma if gamma else 0.0)}"
    if method == "DQN":
        return rf"Q(s,\text{{{move}}}) = {old:.4g} \to {new:.4g}, \quad \text{{target }} {ahead} = {target:.4g}"
    inner = f"{target:.4g}" if method in {"Monte Carlo", "n-step SARSA"} else ahead
    return rf"Q(s,\text{{{move}}}) \leftarrow {old:.4g} + {rate:.3g}\,[{inner} - {_signed(old)}] = {new:.4g}"


def _signed(value: float) -> str:
    return f"({value:.4g})" if value < 0 else f"{value:.4g}"


def short(value: float) -> str:
    """Three digits, without a minus before zero."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 3) + 0.0:g}"
