"""Does routing with these heads pay?"""
