"""Proximal policy optimisation, PPO (Schulman et al. 2017): several steps on the same moves, none too far from their policy."""

from __future__ import annotations

import torch

from core.gridworld.methods.rollouts import PolicyGradient, advantages, scaled


class PPO(PolicyGradient):
    """Clipped surrogate objective, advantages scaled batch by batch."""

    def update(self, length: int) -> None:
        """The ratio pi_new(a|s) / pi_old(a|s) times the advantage, cut off where the ratio leaves 1 +- clip."""
        gained, returns = advantages(self.rollout, length, self.values, self.config.gamma, self.config.trace)
        states, actions = self.batch(length)
        gains, wanted = self.flat(gained), self.flat(returns)
        before = self.values.copy()
        old = torch.log(torch.from_numpy(self.rollout.policy).float().to(self.device)[states, actions])
        clip, total, clipped, batches = self.config.clip, 0.0, 0.0, 0

        for _ in range(self.config.epochs):
            order = torch.from_numpy(self.random.permutation(len(states))).to(self.device)
            for rows in order.split(self.config.batch_size):
                log_chances, values = self.judge(states[rows])  # (batch, 4), (batch,)
                chosen = log_chances.gather(1, actions[rows, None]).squeeze(1)
                advantage = scaled(gains[rows])
                ratio = (chosen - old[rows]).exp()
                policy_loss = -torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
                value_loss = ((wanted[rows] - values) / self.scale).square().mean()
                entropy = -(log_chances.exp() * log_chances).sum(1).mean()
                self.step(policy_loss + self.config.value_weight * value_loss - self.config.entropy * entropy)
                total, batches = total + policy_loss.item(), batches + 1
                clipped += float(((ratio - 1).abs() > clip).float().mean())

        self.losses[:] = total / batches, value_loss.item(), clipped / batches
        self.note(length, before, returns)
