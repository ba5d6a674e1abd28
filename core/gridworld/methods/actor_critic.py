"""Advantage actor-critic, A2C (Mnih et al. 2016, in step): learn every few moves, with the critic's value for what lies beyond."""

from __future__ import annotations

from core.gridworld.methods.rollouts import PolicyGradient, advantages, scaled


class A2C(PolicyGradient):
    """One step of gradient per rollout. Sutton and Barto, 2nd ed., 13.5, with generalised advantages and copies of the map."""

    def update(self, length: int) -> None:
        """log pi(a|s) is pushed by the advantage; V(s) moves towards the return it implies."""
        gained, returns = advantages(self.rollout, length, self.values, self.config.gamma, self.config.trace)
        states, actions = self.batch(length)
        before = self.values.copy()

        log_chances, values = self.judge(states)  # (length * E, 4), (length * E,)
        chosen = log_chances.gather(1, actions[:, None]).squeeze(1)
        entropy = -(log_chances.exp() * log_chances).sum(1).mean()
        policy_loss = -(chosen * scaled(self.flat(gained))).mean()
        value_loss = ((self.flat(returns) - values) / self.scale).square().mean()
        self.step(policy_loss + self.config.value_weight * value_loss - self.config.entropy * entropy)

        self.losses[:2] = policy_loss.item(), value_loss.item()
        self.note(length, before, returns)
