"""REINFORCE with a baseline (Williams 1992): after each episode, make the moves likelier that earned more than expected."""

from __future__ import annotations

import numpy as np

from core.gridworld.methods.rollouts import PolicyGradient


class Reinforce(PolicyGradient):
    """Monte Carlo policy gradient: learns from whole episodes. Sutton and Barto, 2nd ed., 13.4, without the factor gamma^t."""

    until_over = True

    def update(self, length: int) -> None:
        """log pi(a|s) is pushed by the return G minus the critic's V(s); V(s) moves towards G."""
        rewards, earned = self.rollout.reward[:length, 0], 0.0
        returns = np.zeros(length)
        for t in range(length - 1, -1, -1):
            earned = rewards[t] + self.config.gamma * earned
            returns[t] = earned
        states, actions = self.batch(length)
        before = self.values.copy()

        log_chances, values = self.judge(states)  # (length, 4), (length,)
        chosen = log_chances.gather(1, actions[:, None]).squeeze(1)
        advantage = (self.flat(returns) - values.detach()) / self.scale
        entropy = -(log_chances.exp() * log_chances).sum(1).mean()
        policy_loss = -(chosen * advantage).mean()
        value_loss = ((self.flat(returns) - values) / self.scale).square().mean()
        self.step(policy_loss + self.config.value_weight * value_loss - self.config.entropy * entropy)

        self.losses[:2] = policy_loss.item(), value_loss.item()
        self.note(length, before, returns)
