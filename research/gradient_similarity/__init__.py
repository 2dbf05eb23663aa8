"""How similar the gradients of sentiment's subtasks and the updates of links are: the paper's figure 3."""
