"""Switch Sweep: prompt A before step k and prompt B from step k on, for every k: when does a prompt matter?"""
