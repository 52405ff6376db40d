"""How much of each element there is."""

CRUST_PPM: dict[str, float] = {
    "H": 1400, "He": 0.008, "Li": 20, "Be": 2.8, "B": 10, "C": 200, "N": 19, "O": 461000,
    "F": 585, "Ne": 0.005, "Na": 23600, "Mg": 23300, "Al": 82300, "Si": 282000, "P": 1050,
    "S": 350, "Cl": 145, "Ar": 3.5, "K": 20900, "Ca": 41500, "Sc": 22, "Ti": 5650, "V": 120,
    "Cr": 102, "Mn": 950, "Fe": 56300, "Co": 25, "Ni": 84, "Cu": 60, "Zn": 70, "Ga": 19,
    "Ge": 1.5, "As": 1.8, "Se": 0.05, "Br": 2.4, "Kr": 1e-4, "Rb": 90, "Sr": 370, "Y": 33,
    "Zr": 165, "Nb": 20, "Mo": 1.2, "Ru": 0.001, "Rh": 0.001, "Pd": 0.015, "Ag": 0.075,
    "Cd": 0.15, "In": 0.25, "Sn": 2.3, "Sb": 0.2, "Te": 0.001, "I": 0.45, "Xe": 3e-5, "Cs": 3,
    "Ba": 425, "La": 39, "Ce": 66.5, "Pr": 9.2, "Nd": 41.5, "Sm": 7.05, "Eu": 2.0, "Gd": 6.2,
    "Tb": 1.2, "Dy": 5.2, "Ho": 1.3, "Er": 3.5, "Tm": 0.52, "Yb": 3.2, "Lu": 0.8, "Hf": 3.0,
    "Ta": 2.0, "W": 1.25, "Re": 7e-4, "Os": 0.0015, "Ir": 0.001, "Pt": 0.005, "Au": 0.004,
    "Hg": 0.085, "Tl": 0.85, "Pb": 14, "Bi": 0.0085, "Th": 9.6, "U": 2.7,
}  # fmt: skip
"""Abundance in the Earth's crust, in mg/kg; elements that are not listed have none to speak of.

CRC Handbook of Chemistry and Physics, "Abundance of elements in the Earth's crust and in the sea",
entered by hand.
"""
