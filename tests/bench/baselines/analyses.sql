-- The eight analyses over `joined`, in the SQL that DuckDB and Spark share. A statement is `-- name` and a query.
-- posts
SELECT country, category, poster_name, follower_count, user_name, year(timestamp) AS post_year, year(date_joined) AS joining_year,
       CASE WHEN age BETWEEN 18 AND 24 THEN '18-24' WHEN age BETWEEN 25 AND 35 THEN '25-35'
            WHEN age BETWEEN 36 AND 50 THEN '36-50' WHEN age > 50 THEN '50+' END AS age_group
FROM joined
-- category_per_country
SELECT country, category, category_count FROM (
    SELECT country, category, count(*) AS category_count, rank() OVER (PARTITION BY country ORDER BY count(*) DESC) AS place
    FROM posts WHERE category IS NOT NULL GROUP BY country, category
) AS ranked WHERE place = 1
-- category_per_year
SELECT post_year, category, category_count FROM (
    SELECT post_year, category, count(*) AS category_count, rank() OVER (PARTITION BY post_year ORDER BY count(*) DESC) AS place
    FROM posts WHERE category IS NOT NULL AND post_year BETWEEN 2018 AND 2022 GROUP BY post_year, category
) AS ranked WHERE place = 1
-- followers_per_poster
SELECT country, poster_name, max(follower_count) AS follower_count FROM posts GROUP BY country, poster_name
-- country_of_top_poster
SELECT country, follower_count FROM (SELECT country, max(follower_count) AS follower_count FROM posts WHERE follower_count IS NOT NULL GROUP BY country) AS most
WHERE follower_count = (SELECT max(follower_count) FROM posts)
-- category_per_age
SELECT age_group, category, category_count FROM (
    SELECT age_group, category, count(*) AS category_count, rank() OVER (PARTITION BY age_group ORDER BY count(*) DESC) AS place
    FROM posts WHERE category IS NOT NULL AND age_group IS NOT NULL GROUP BY age_group, category
) AS ranked WHERE place = 1
-- followers_per_age
SELECT age_group, median(follower_count) AS median_follower_count FROM posts WHERE age_group IS NOT NULL GROUP BY age_group
-- users_per_joining_year
SELECT joining_year, count(DISTINCT user_name) AS number_users_joined FROM posts WHERE joining_year BETWEEN 2015 AND 2020 GROUP BY joining_year
-- followers_per_joining_year
SELECT joining_year, median(follower_count) AS median_follower_count FROM posts WHERE joining_year BETWEEN 2015 AND 2020 GROUP BY joining_year
-- followers_per_age_and_joining_year
SELECT age_group, joining_year, median(follower_count) AS median_follower_count
FROM posts WHERE age_group IS NOT NULL AND joining_year BETWEEN 2015 AND 2020 GROUP BY age_group, joining_year
